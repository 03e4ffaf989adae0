use std::fs::File;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use nix::sys::eventfd::EventFd;

use super::*;

#[test]
fn files_are_memory_with_their_access() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let read_only = File::open(file.path()).unwrap();
    assert!(matches!(
        classify(read_only.into()),
        Descriptor::Memory {
            writable: false,
            ..
        }
    ));
    let both = File::options()
        .read(true)
        .write(true)
        .open(file.path())
        .unwrap();
    assert!(matches!(
        classify(both.into()),
        Descriptor::Memory { writable: true, .. }
    ));
    // Nothing could be read from it, so it cannot be shared or copied.
    let write_only = File::options().write(true).open(file.path()).unwrap();
    assert!(matches!(classify(write_only.into()), Descriptor::Odd(_)));
}

#[test]
fn pipe_ends_keep_their_direction() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    assert!(matches!(
        classify(reader),
        Descriptor::Pipe {
            read: true,
            write: false,
            ..
        }
    ));
    assert!(matches!(
        classify(writer),
        Descriptor::Pipe {
            read: false,
            write: true,
            ..
        }
    ));
}

#[test]
fn only_connected_unix_streams_are_sockets() {
    let (a, _b) = UnixStream::pair().unwrap();
    assert!(matches!(classify(a.into()), Descriptor::Socket(_)));
    let (a, _b) = UnixDatagram::pair().unwrap();
    assert!(matches!(classify(a.into()), Descriptor::Odd(_)));
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("s")).unwrap();
    assert!(matches!(classify(listener.into()), Descriptor::Odd(_)));
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(matches!(classify(tcp.into()), Descriptor::Odd(_)));
}

#[test]
fn the_rest_is_odd() {
    let event: OwnedFd = EventFd::new()
        .unwrap()
        .as_fd()
        .try_clone_to_owned()
        .unwrap();
    assert!(matches!(classify(event), Descriptor::Odd(_)));
    let null = File::open("/dev/null").unwrap();
    assert!(matches!(classify(null.into()), Descriptor::Odd(_)));
    let dir = File::open("/").unwrap();
    assert!(matches!(classify(dir.into()), Descriptor::Odd(_)));
}
