//! Messages, beside what Linux does with the same ones on a pair of Unix sockets.

use std::{
    io::{Read as _, Write as _, pipe},
    os::fd::{AsRawFd, FromRawFd},
    os::unix::net::UnixStream,
};

use super::*;

/// A message of one buffer and some room for control messages, for sending or receiving.
struct Message {
    bytes: Vec<u8>,
    control: Vec<u8>,
    vector: iovec,
    header: msghdr,
}

impl Message {
    fn new(bytes: Vec<u8>, control: Vec<u8>) -> Box<Self> {
        // SAFETY: all of it may be zero.
        let (vector, header) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let mut message = Box::new(Self {
            bytes,
            control,
            vector,
            header,
        });
        message.vector.iov_base = message.bytes.as_mut_ptr().cast();
        message.vector.iov_len = message.bytes.len();
        message.header.msg_iov = ptr::from_mut(&mut message.vector);
        message.header.msg_iovlen = 1;
        message.header.msg_control = message.control.as_mut_ptr().cast();
        message.header.msg_controllen = message.control.len();
        message
    }

    fn errno(&self) -> Option<i32> {
        // SAFETY: it points to what it owns, or to nothing.
        let result = unsafe { Outgoing::read(&raw const self.header) };
        result.expect_err("refused").raw_os_error()
    }

    /// What Linux says of it.
    fn errno_of_linux(&self) -> Option<i32> {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        // SAFETY: as before.
        let sent =
            unsafe { libc::sendmsg(ours.as_raw_fd(), &raw const self.header, libc::MSG_NOSIGNAL) };
        (sent < 0).then(Errno::last_raw)
    }
}

/// A control message, padded.
fn control(len: usize, level: c_int, kind: c_int, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(len.to_ne_bytes());
    bytes.extend(level.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn rights(numbers: &[RawFd]) -> Vec<u8> {
    let data: Vec<u8> = numbers.iter().flat_map(|fd| fd.to_ne_bytes()).collect();
    let len = HEADER + data.len();
    control(len, libc::SOL_SOCKET, libc::SCM_RIGHTS, &data)
}

#[test]
fn what_is_sent_is_read() {
    let (reader, writer) = pipe().expect("a pipe");
    let numbers = [reader.as_raw_fd(), writer.as_raw_fd()];
    let mut both = rights(&numbers[..1]);
    // Meant for another protocol, and passed over.
    both.extend(control(HEADER + 4, libc::SOL_IP, libc::IP_TTL, &[0; 4]));
    both.extend(rights(&numbers[1..]));
    let message = Message::new(b"hello".to_vec(), both);
    // SAFETY: it points to what it owns.
    let outgoing = unsafe { Outgoing::read(&raw const message.header) }.expect("a message");
    assert_eq!(&*outgoing.bufs[0], b"hello");
    let read: Vec<_> = outgoing.fds.iter().map(AsRawFd::as_raw_fd).collect();
    assert_eq!(read, numbers);
}

#[test]
fn what_linux_refuses_is_refused_alike() {
    let null = |change: fn(&mut msghdr)| {
        let mut message = Message::new(b"x".to_vec(), Vec::new());
        change(&mut message.header);
        message
    };
    let many = vec![0; 254];
    let cases = [
        ("short length", {
            Message::new(
                b"x".to_vec(),
                control(8, libc::SOL_SOCKET, libc::SCM_RIGHTS, &[]),
            )
        }),
        ("long length", {
            Message::new(
                b"x".to_vec(),
                control(80, libc::SOL_SOCKET, libc::SCM_RIGHTS, &[]),
            )
        }),
        ("more than 253", Message::new(b"x".to_vec(), rights(&many))),
        ("closed", Message::new(b"x".to_vec(), rights(&[-1]))),
        (
            "no vectors",
            null(|header| header.msg_iov = ptr::null_mut()),
        ),
        ("too many vectors", null(|header| header.msg_iovlen = 1025)),
    ];
    for (what, message) in cases {
        let errno = message.errno();
        assert!(errno.is_some(), "{what}");
        assert_eq!(errno, message.errno_of_linux(), "{what}");
    }
}

#[test]
fn null_is_an_error_and_not_the_end() {
    // SAFETY: NULL is looked for.
    let (sent, received) = unsafe { (Outgoing::read(ptr::null()), Incoming::new(ptr::null_mut())) };
    assert_eq!(sent.expect_err("NULL").raw_os_error(), Some(libc::EFAULT));
    assert_eq!(
        received.err().and_then(|e| e.raw_os_error()),
        Some(libc::EFAULT)
    );
    let mut message = Message::new(b"x".to_vec(), Vec::new());
    message.vector.iov_base = ptr::null_mut();
    assert_eq!(message.errno(), Some(libc::EFAULT));
    message.vector.iov_len = usize::MAX;
    assert_eq!(message.errno(), Some(libc::EINVAL));
}

/// What is reported of two descriptors in a control buffer of `room` bytes: by us, and by Linux.
fn reported(room: usize, flags: c_int) -> [(usize, usize, c_int); 2] {
    let (reader, writer) = pipe().expect("a pipe");
    let sent = Message::new(
        b"x".to_vec(),
        rights(&[reader.as_raw_fd(), writer.as_raw_fd()]),
    );
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let mut linux = Message::new(vec![0], vec![0; room]);
    // SAFETY: both point to what they own.
    unsafe {
        assert_eq!(
            libc::sendmsg(ours.as_raw_fd(), &raw const sent.header, 0),
            1
        );
        let header = ptr::from_mut(&mut linux.header);
        assert_eq!(libc::recvmsg(theirs.as_raw_fd(), header, flags), 1);
    }
    let mut own = Message::new(vec![0], vec![0; room]);
    // SAFETY: it points to what it owns.
    let incoming = unsafe { Incoming::new(&raw mut own.header) }.expect("room");
    assert_eq!(incoming.room(), 1);
    let fds = vec![OwnedFd::from(reader), OwnedFd::from(writer)];
    incoming.finish(fds, false, flags);
    [own, linux].map(|message| {
        // SAFETY: it points to what it owns, and the descriptors in it are nobody's.
        let count = unsafe {
            let fds = descriptors(&message.header).expect("well formed");
            fds.iter()
                .map(|fd| drop(OwnedFd::from_raw_fd(fd.as_raw_fd())))
                .count()
        };
        let header = &message.header;
        (count, header.msg_controllen, header.msg_flags)
    })
}

#[test]
fn what_is_received_is_reported_as_linux_does() {
    for room in 0..=40 {
        for flags in [0, libc::MSG_CMSG_CLOEXEC] {
            let [own, linux] = reported(room, flags);
            assert_eq!(own, linux, "room for {room} bytes, flags {flags:#x}");
        }
    }
}

#[test]
fn descriptors_without_room_are_closed() {
    let (mut reader, writer) = pipe().expect("a pipe");
    let mut other = writer.try_clone().expect("a duplicate");
    let mut message = Message::new(vec![0], Vec::new());
    // SAFETY: it points to what it owns.
    let incoming = unsafe { Incoming::new(&raw mut message.header) }.expect("room");
    incoming.finish(vec![writer.into()], false, 0);
    assert_eq!(message.header.msg_flags, libc::MSG_CTRUNC);
    other.write_all(b"x").expect("written");
    drop(other);
    let mut all = Vec::new();
    // Ends, as no writer is left.
    reader.read_to_end(&mut all).expect("read");
    assert_eq!(all, b"x");
}
