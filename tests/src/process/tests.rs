use super::*;
use crate::dir::TestDir;

fn shell(dir: &TestDir, script: &str) -> Command {
    Command::new("shell", "sh", dir.path())
        .arg("-c")
        .arg(script)
}

#[test]
fn a_process_that_ends_before_it_is_ready_is_an_error_with_its_log() {
    let dir = TestDir::new().unwrap();
    let error = shell(&dir, "echo no such thing; exit 3")
        .spawn_ready()
        .unwrap_err()
        .to_string();
    assert!(error.contains("ended before it was ready"), "{error}");
    assert!(error.contains("shell: no such thing"), "{error}");
}

#[test]
fn run_gives_status_and_output() {
    let dir = TestDir::new().unwrap();
    let (status, output) = shell(&dir, "echo out; echo err >&2; exit 7").run().unwrap();
    assert_eq!(status.code(), Some(7));
    assert_eq!(output, "out\nerr\n");
}

#[test]
fn a_dropped_process_has_ended() {
    let dir = TestDir::new().unwrap();
    let daemon = shell(&dir, "exec tail -f /dev/null").spawn().unwrap();
    let entry = format!("/proc/{}", daemon.pid());
    drop(daemon);
    assert!(!Path::new(&entry).exists());
}
