use std::os::unix::net::UnixListener;

use super::*;

fn path(name: Option<&str>, runtime_dir: Option<&str>) -> Option<PathBuf> {
    Display::find(name.map(Into::into), runtime_dir.map(Into::into))
        .ok()
        .map(|display| display.path().to_path_buf())
}

#[test]
fn names_are_files_of_the_runtime_directory() {
    let expected = |path: &str| Some(PathBuf::from(path));
    assert_eq!(path(Some("w-1"), Some("/run")), expected("/run/w-1"));
    assert_eq!(path(None, Some("/run")), expected("/run/wayland-0"));
    assert_eq!(path(Some(""), Some("/run")), expected("/run/wayland-0"));
    assert_eq!(path(Some("/tmp/w"), Some("/run")), expected("/tmp/w"));
    assert_eq!(path(Some("/tmp/w"), None), expected("/tmp/w"));
}

#[test]
fn a_name_alone_leads_nowhere() {
    assert_eq!(path(Some("w-1"), None), None);
    assert_eq!(path(Some("w-1"), Some("run")), None);
    assert_eq!(path(Some("w-1"), Some("")), None);
}

#[test]
fn a_path_longer_than_a_sockets_is_refused() {
    assert!(path(Some(&format!("/{}", "x".repeat(106))), None).is_some());
    assert!(path(Some(&format!("/{}", "x".repeat(108))), None).is_none());
}

#[test]
fn connecting_never_waits() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("w");
    let display = Display::find(Some(file.clone().into()), None).unwrap();
    let errno = || display.connect().unwrap_err().raw_os_error();
    assert_eq!(errno(), Some(Errno::ENOENT as i32));

    let listener = UnixListener::bind(&file).unwrap();
    // Until the queue of those who wait is full.
    let mut waiting = Vec::new();
    let full = loop {
        match display.connect() {
            Ok(socket) => waiting.push(socket),
            Err(error) => break error,
        }
        assert!(waiting.len() < 10_000, "the queue has no end");
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);

    drop(listener);
    assert_eq!(errno(), Some(Errno::ECONNREFUSED as i32));
}
