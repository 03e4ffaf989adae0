use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::*;
use crate::core::quota::{Limits, Quota};

fn queue() -> OutQueue {
    OutQueue::new(1 << 20, Quota::new(Limits::default()))
}

fn connected() -> (Stream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    (Stream::connected(near.into(), queue()), far)
}

fn flags(fd: impl AsFd) -> OFlag {
    OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL).unwrap())
}

fn read(stream: &mut Stream) -> Option<Vec<u8>> {
    let mut buf = [0; 64];
    match stream.read(&mut buf) {
        Input::Data(len, _) => Some(buf[..len].to_vec()),
        Input::Empty => None,
        Input::End => panic!("it ended"),
    }
}

#[test]
fn reading_never_blocks_and_ends_once_all_is_read() {
    let (mut stream, mut peer) = connected();
    assert!(read(&mut stream).is_none());
    peer.write_all(b"last").unwrap();
    drop(peer);
    assert_eq!(read(&mut stream).unwrap(), b"last");
    assert!(matches!(stream.read(&mut [0; 8]), Input::End));
}

#[test]
fn more_descriptors_than_a_message_can_have_end_the_connection_without_a_leak() {
    let (mut stream, peer) = connected();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let raw = [writer.as_raw_fd(); 29];
    let rights = [ControlMessage::ScmRights(&raw)];
    let iov = [io::IoSlice::new(b"x")];
    sendmsg::<()>(peer.as_raw_fd(), &iov, &rights, MsgFlags::empty(), None).unwrap();
    drop(writer);
    assert!(matches!(stream.read(&mut [0; 8]), Input::End));
    // All copies of the write end are gone: the pipe has ended.
    assert_eq!(std::fs::File::from(reader).read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_new_pipe_is_blocking_at_the_far_end_only() {
    let mut stream = Stream::pipe(true, queue()).unwrap();
    assert!(flags(stream.poll_fd()).contains(OFlag::O_NONBLOCK));
    let far = stream.forward().unwrap();
    assert!(!flags(&*far).contains(OFlag::O_NONBLOCK));
    assert!(stream.forward().is_none(), "it exists once");
    assert!(stream.readable(), "the near end stays ours");
    let mut far = std::fs::File::from(Arc::into_inner(far).unwrap());
    far.write_all(b"x").unwrap();
    assert_eq!(read(&mut stream).unwrap(), b"x");
}

#[test]
fn the_mode_of_a_received_pipe_is_left_alone() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let senders_own = reader.try_clone().unwrap();
    let mut stream = Stream::received_pipe(reader, true, false, queue()).unwrap();
    assert!(read(&mut stream).is_none(), "an empty pipe does not block");
    assert!(!flags(senders_own).contains(OFlag::O_NONBLOCK));
    drop(writer);
    assert!(matches!(stream.read(&mut [0; 1]), Input::End));
}

#[test]
fn a_received_stream_can_be_passed_on_until_it_was_read() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut stream = Stream::received_socket(near.into(), queue());
    far.write_all(b"12").unwrap();
    assert!(stream.can_forward());
    let mut buf = [0; 1];
    assert!(matches!(stream.read(&mut buf), Input::Data(1, _)));
    assert!(!stream.can_forward() && stream.forward().is_none());

    let (near, _far) = UnixStream::pair().unwrap();
    let mut stream = Stream::received_socket(near.into(), queue());
    assert!(stream.forward().is_some());
    assert!(!stream.readable(), "somebody else reads it now");
    assert!(stream.can_forward(), "but it may go to several");
}

#[test]
fn a_write_end_without_reader_fails_and_does_not_signal() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    drop(reader);
    let mut stream = Stream::received_pipe(writer, false, true, queue()).unwrap();
    let error = stream.send(b"x", vec![]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_gone_peer_breaks_the_stream_for_writing() {
    let (mut stream, peer) = connected();
    drop(peer);
    assert!(stream.writable());
    assert!(stream.send(b"x", vec![]).is_err());
    assert!(!stream.writable());
}

#[test]
fn connecting_never_waits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    assert!(connect_now(&path).is_err());
    let listener = UnixListener::bind(&path).unwrap();
    // The backlog of the standard library is at least 128; it ends some time.
    let mut connections = Vec::new();
    let refused = loop {
        match connect_now(&path) {
            Ok(fd) => connections.push(fd),
            Err(error) => break error,
        }
        assert!(connections.len() < 100_000);
    };
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    drop(listener);
}
