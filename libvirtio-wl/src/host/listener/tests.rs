use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode(text: &str) -> Result<Mode, RightsError> {
    Mode::try_from(text.to_owned())
}

fn owner(text: &str) -> Result<Owner, RightsError> {
    Owner::try_from(text.to_owned())
}

#[test]
fn the_file_has_its_mode_and_goes_with_the_listener() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = Listener::bind(&path, mode("0620").unwrap(), None).unwrap();
    let rights = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(rights & 0o7777, 0o620);
    assert!(listener.accept().unwrap().is_none());
    let _client = UnixStream::connect(&path).unwrap();
    assert!(listener.accept().unwrap().is_some());
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let _listener = Listener::bind(&path, Mode::PRIVATE, None).unwrap();
    let second = Listener::bind(&path, Mode::PRIVATE, None);
    assert!(matches!(second, Err(ListenError::InUse(_))), "{second:?}");
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    fs::write(&path, "precious").unwrap();
    let result = Listener::bind(&path, Mode::PRIVATE, None);
    assert!(matches!(result, Err(ListenError::NotASocket(_))));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_successors_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let first = Listener::bind(&path, Mode::PRIVATE, None).unwrap();
    fs::remove_file(&path).unwrap();
    let _second = Listener::bind(&path, Mode::PRIVATE, None).unwrap();
    drop(first);
    UnixStream::connect(&path).unwrap();
}

#[test]
fn paths_too_long_are_named() {
    let path = Path::new("/tmp").join("x".repeat(200));
    let error = Listener::bind(&path, Mode::PRIVATE, None).unwrap_err();
    assert!(error.to_string().contains("xxx"), "{error}");
}

#[test]
fn modes_and_owners() {
    assert_eq!(mode("600").unwrap(), Mode::PRIVATE);
    for text in ["", "66", "0888", "+660", "01777", "rw"] {
        assert!(mode(text).is_err(), "{text}");
    }
    assert!(owner("root:root").is_ok());
    assert_eq!(owner("0:0"), owner("root:root"));
    assert!(owner(":0").is_ok() && owner("0").is_ok());
    assert_eq!(owner(":"), Err(RightsError::NoOwner));
    assert!(matches!(
        owner("no-such-user-here"),
        Err(RightsError::User(_))
    ));
}
