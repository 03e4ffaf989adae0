use std::fs;
use std::os::unix::net::UnixListener;

use super::*;

fn display(dir: &std::path::Path) -> Display {
    Display::find(Some(dir.join("w").into()), None).unwrap()
}

#[test]
fn a_socket_that_appears_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let display = display(dir.path());
    let mut appear = Appear::new().unwrap();
    appear.watch(&display);
    fs::write(dir.path().join("other"), "").unwrap();
    assert!(!appear.take(&display).unwrap());
    let _listener = UnixListener::bind(display.path()).unwrap();
    assert!(appear.take(&display).unwrap());
    assert!(!appear.take(&display).unwrap());
    appear.rest();
    fs::rename(display.path(), dir.path().join("x")).unwrap();
    fs::rename(dir.path().join("x"), display.path()).unwrap();
    assert!(!appear.take(&display).unwrap());
}

#[test]
fn a_directory_may_go_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("d");
    let display = display(&inner);
    let mut appear = Appear::new().unwrap();
    appear.watch(&display);
    for _ in 0..2 {
        fs::create_dir(&inner).unwrap();
        appear.watch(&display);
        let listener = UnixListener::bind(display.path()).unwrap();
        assert!(appear.take(&display).unwrap());
        drop(listener);
        fs::remove_dir_all(&inner).unwrap();
        appear.take(&display).unwrap();
    }
}
