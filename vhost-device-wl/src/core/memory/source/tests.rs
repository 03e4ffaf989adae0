use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::thread;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use virtio_wl::memfd_request::REQUEST_BYTES;

use super::*;

/// Serves one connection: answers each request as `answer` says.
fn serve(
    listener: UnixListener,
    mut answer: impl FnMut(u64) -> (u8, Option<OwnedFd>) + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; REQUEST_BYTES];
        while std::io::Read::read_exact(&mut stream, &mut request).is_ok() {
            let size = MemfdRequest::parse(&request).unwrap().size;
            let (status, fd) = answer(size);
            let raw: Vec<_> = fd.iter().map(AsRawFd::as_raw_fd).collect();
            let rights = [ControlMessage::ScmRights(&raw)];
            let rights: &[_] = if raw.is_empty() { &[] } else { &rights };
            let iov = [std::io::IoSlice::new(std::slice::from_ref(&status))];
            let flags = MsgFlags::MSG_NOSIGNAL;
            sendmsg::<()>(stream.as_raw_fd(), &iov, rights, flags, None).unwrap();
        }
    })
}

fn sealed(size: u64) -> OwnedFd {
    let fd = crate::core::memory::files::create(size).unwrap();
    crate::core::memory::files::seal(&fd).unwrap();
    fd
}

#[test]
fn one_connection_serves_good_and_refused_requests() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("memfd");
    let server = serve(UnixListener::bind(&path).unwrap(), |size| {
        if size > 8192 {
            (MemfdStatus::QUOTA.0, None)
        } else {
            (0, Some(sealed(size)))
        }
    });
    let mut source = MemfdServer::new(&path);
    assert!(source.create(4096).is_ok());
    let refused = source.create(1 << 20).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EDQUOT));
    assert!(source.create(8192).is_ok());
    drop(source);
    server.join().unwrap();
}

#[test]
fn memory_other_than_asked_for_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("memfd");
    let mut turn = 0;
    let server = serve(UnixListener::bind(&path).unwrap(), move |size| {
        turn += 1;
        match turn {
            1 => (0, None),
            2 => (0, Some(sealed(size + 4096))),
            _ => (0, Some(crate::core::memory::files::create(size).unwrap())),
        }
    });
    let mut source = MemfdServer::new(&path);
    for _ in 0..3 {
        assert!(source.create(4096).is_err());
    }
    drop(source);
    server.join().unwrap();
}

#[test]
fn a_server_that_comes_back_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("memfd");
    let mut source = MemfdServer::new(&path);
    assert!(source.create(4096).is_err(), "not there yet");
    let listener = UnixListener::bind(&path).unwrap();
    let closing = thread::spawn({
        let listener = listener.try_clone().unwrap();
        move || drop(listener.accept().unwrap())
    });
    assert!(source.create(4096).is_err(), "it hung up");
    closing.join().unwrap();
    let server = serve(listener, |size| (0, Some(sealed(size))));
    assert!(source.create(4096).is_ok());
    drop(source);
    server.join().unwrap();
}
