//! A service in the same process.

use std::os::unix::net::UnixDatagram;

use nix::unistd::getpid;

use super::Notify;

#[test]
fn only_readiness_counts() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("notify");
    let notify = Notify::bind(&path, None).expect("a socket");
    let service = UnixDatagram::unbound().expect("a socket");
    for (message, ready) in [
        (&b"STATUS=starting"[..], false),
        (b"READY=1", true),
        (b"STATUS=up\nREADY=1\n", true),
        (b"READY=11", false),
        (b"", false),
        (&[0xff; 3000], false),
    ] {
        service.send_to(message, &path).expect("sent");
        let sender = notify.receive().expect("a message");
        assert_eq!(sender, ready.then(getpid), "{message:?}");
    }
    let nothing = notify.receive().expect_err("nothing");
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}
