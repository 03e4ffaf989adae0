//! A guest played by the test.

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use super::*;
use crate::vm::lines::Lines;

fn guest(said: &str) -> (Guest, UnixStream) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(said.as_bytes()).unwrap();
    let lines = Lines::new("guest", ours, Guest::MAX_LINE_BYTES).unwrap();
    (Guest::new(lines), theirs)
}

fn run(guest: &mut Guest) -> Result<u32> {
    guest.run(vec!["x".to_owned()], Vec::new(), false, Deadline::step())
}

#[test]
fn a_program_and_its_output() {
    let (mut guest, _peer) = guest(
        "{\"booted\":{\"role\":\"bare\",\"kernel\":\"6.12\"}}\n\
         {\"started\":{\"id\":1,\"pid\":7}}\n\
         {\"output\":{\"id\":1,\"stream\":\"stdout\",\"text\":\"a\\nb\"}}\n\
         {\"ended\":{\"id\":1,\"status\":{\"exit\":0}}}\n",
    );
    assert_eq!(guest.wait_booted(Deadline::step()).unwrap(), "6.12");
    let id = run(&mut guest).unwrap();
    let ended = guest.until("end", Deadline::step(), |guest| {
        Ok(guest.program(id)?.ended)
    });
    assert!(ended.unwrap().success());
    let state = guest.program(id).unwrap();
    assert_eq!(state.line().as_deref(), Some("a"));
    assert_eq!(state.line(), None);
}

#[test]
fn what_the_guest_must_not_say_is_refused() {
    let unasked = "{\"ended\":{\"id\":9,\"status\":{\"exit\":0}}}\n";
    for said in ["nonsense\n", unasked, "{\"halt\":{}}\n"] {
        let (mut guest, _peer) = guest(said);
        assert!(guest.wait_booted(Deadline::step()).is_err(), "{said}");
    }
}

#[test]
fn a_program_that_cannot_start_is_an_error_with_its_reason() {
    let (mut guest, _peer) = guest("{\"failed\":{\"id\":1,\"message\":\"no such file\"}}\n");
    let error = run(&mut guest).unwrap_err().to_string();
    assert!(error.contains("no such file"), "{error}");
}

#[test]
fn the_end_of_a_guest_ends_every_wait() {
    let (mut guest, peer) = guest("");
    drop(peer);
    assert!(guest.wait_ready(1, Deadline::step()).is_err());
}
