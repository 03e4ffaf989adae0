use std::convert::Infallible;
use std::io::{Read, Write};

use super::*;

/// Lets everything through, one part at a time.
#[derive(Debug, Default)]
struct All(Chunk);

impl Inbound for All {
    type Violation = Infallible;

    fn has_room(&self) -> bool {
        self.0.bytes.is_empty()
    }

    fn push(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) -> Result<(), Infallible> {
        self.0 = Chunk {
            bytes: bytes.to_vec(),
            fds,
        };
        Ok(())
    }

    fn next(&mut self) -> Result<Chunk, Infallible> {
        Ok(std::mem::take(&mut self.0))
    }
}

/// A link and both its far ends.
fn setup() -> (Link<All>, UnixStream, UnixStream) {
    let (client, transport) = UnixStream::pair().unwrap();
    let (display, ours) = UnixStream::pair().unwrap();
    for end in [&client, &display] {
        end.set_nonblocking(true).unwrap();
    }
    let mut link = Link::new(Box::new(transport), ours, All::default());
    link.wanted();
    (link, client, display)
}

/// Writes until the socket is full; how much that was.
fn fill(mut socket: &UnixStream) -> usize {
    let mut count = 0;
    while let Ok(more) = socket.write(&[7; 4096]) {
        count += more;
    }
    count
}

#[test]
fn bytes_and_descriptors_pass_both_ways() {
    let (mut link, client, display) = setup();
    let (reader, _writer) = io::pipe().unwrap();
    for (from, to, side) in [
        (&client, &display, [true, false]),
        (&display, &client, [false, true]),
    ] {
        unix::send(from, b"words", &[reader.as_fd()]).unwrap();
        let turn = link.turn(side).unwrap();
        assert!(turn.fed && !turn.stuck);
        let (mut bytes, mut fds) = ([0; 16], Vec::new());
        assert_eq!(unix::recv(to, &mut bytes, &mut fds).unwrap(), 5);
        assert_eq!((&bytes[..5], fds.len()), (&b"words"[..], 1));
    }
}

#[test]
fn a_display_that_does_not_read_stops_its_client() {
    let (mut link, client, display) = setup();
    let room = {
        let (one, _other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        fill(&one)
    };
    let mut sent = 0;
    while link.wanted()[0].read {
        sent += fill(&client);
        link.turn([true, false]).unwrap();
        assert!(sent < 4 * room, "nothing stops the client");
    }
    assert!(link.wanted()[1].write, "waits for the display");
    let mut got = 0;
    let mut bytes = [0; 4096];
    while let Ok(count) = (&display).read(&mut bytes) {
        got += count;
        let readable = link.wanted()[0].read;
        link.turn([readable, false]).unwrap();
    }
    assert_eq!(got, sent, "all that was sent has come");
}

#[test]
fn a_client_that_leaves_while_nobody_reads_it_is_noticed() {
    let (mut link, client, display) = setup();
    while link.wanted()[0].read {
        fill(&client);
        link.turn([true, false]).unwrap();
    }
    drop(client);
    assert!(matches!(link.turn([true, false]), Err(End::Client)));
    drop(display);
}

#[test]
fn last_words_of_a_display_that_does_not_read_reach_the_client() {
    let (mut link, mut client, display) = setup();
    unix::send(&display, b"error", &[]).unwrap();
    drop(display);
    client.write_all(b"request").unwrap();
    let end = loop {
        if let Err(end) = link.turn([true, false]) {
            break end;
        }
    };
    assert!(matches!(end, End::Display));
    assert!(link.finish(&end));
    let mut bytes = [0; 16];
    assert_eq!(client.read(&mut bytes).unwrap(), 5);
    assert_eq!(&bytes[..5], b"error");
}
