use super::*;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn names_are_relative_to_the_runtime_directory() {
    let path =
        |name: &str, dir: Option<&str>| socket_path(OsStr::new(name), dir.map(OsString::from)).ok();
    assert_eq!(
        path("wayland-5", Some("/run/user/1")),
        Some("/run/user/1/wayland-5".into())
    );
    assert_eq!(path("/tmp/s", None), Some("/tmp/s".into()));
    assert_eq!(path("wayland-5", None), None);
    assert_eq!(path("wayland-5", Some("relative")), None);
}

#[test]
fn the_socket_and_its_lock_go_with_the_listener() {
    let dir = dir();
    let path = dir.path().join("wayland-0");
    let listener = Listener::bind(path.clone()).expect("a listener");
    let _client = UnixStream::connect(&path).expect("somebody listens");
    listener.accept().expect("a client");
    assert_eq!(fs::read_dir(&dir).expect("a directory").count(), 2);
    drop(listener);
    assert_eq!(fs::read_dir(&dir).expect("a directory").count(), 0);
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let dir = dir();
    let path = dir.path().join("wayland-0");
    drop(UnixListener::bind(&path).expect("a socket that stays behind"));
    let first = Listener::bind(path.clone()).expect("a listener");
    assert!(
        matches!(Listener::bind(path.clone()), Err(ListenError::InUse(_))),
        "by the lock"
    );
    drop(first);

    // Somebody who knows nothing of locks.
    let _other = UnixListener::bind(&path).expect("a socket");
    assert!(matches!(
        Listener::bind(path.clone()),
        Err(ListenError::InUse(_))
    ));
    UnixStream::connect(&path).expect("still there");
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let dir = dir();
    let path = dir.path().join("wayland-0");
    fs::write(&path, "precious").expect("a file");
    assert!(matches!(
        Listener::bind(path.clone()),
        Err(ListenError::NotASocket(_))
    ));
    assert_eq!(fs::read(&path).expect("a file"), b"precious");
}
