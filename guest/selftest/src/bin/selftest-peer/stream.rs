//! Bytes and descriptors over a socket.

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use crate::stream::sys::own;

/// Most descriptors one message of the kernel carries.
const MAX_FDS: usize = 253;

/// Sends all bytes, the descriptors with the first.
pub(crate) fn send(mut stream: &UnixStream, bytes: &[u8], fds: &[OwnedFd]) -> io::Result<()> {
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let sent = sendmsg::<()>(
        stream.as_raw_fd(),
        &[IoSlice::new(bytes)],
        if fds.is_empty() { &[] } else { &rights },
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    stream.write_all(&bytes[sent..])
}

/// What there is, once there is something; no bytes at the end.
pub(crate) fn receive(stream: &UnixStream, room: usize) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; room];
    let mut control = nix::cmsg_space!([RawFd; MAX_FDS]);
    let mut buffers = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg::<()>(
        stream.as_raw_fd(),
        &mut buffers,
        Some(&mut control),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let got = message.bytes;
    let mut fds = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = part {
            fds.extend(numbers.into_iter().map(own));
        }
    }
    bytes.truncate(got);
    Ok((bytes, fds))
}

/// Sends one descriptor, with one byte.
pub(crate) fn send_borrowed(
    stream: &UnixStream,
    bytes: &[u8],
    fd: BorrowedFd<'_>,
) -> io::Result<()> {
    send(stream, bytes, &[fd.try_clone_to_owned()?])
}

mod sys {
    //! Ownership of received descriptors.
    #![allow(unsafe_code)]

    use std::os::fd::{FromRawFd, OwnedFd, RawFd};

    pub(super) fn own(fd: RawFd) -> OwnedFd {
        // SAFETY: recvmsg() has just made this descriptor for us.
        unsafe { OwnedFd::from_raw_fd(fd) }
    }
}
