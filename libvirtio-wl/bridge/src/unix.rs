//! Ordinary Unix sockets: the display's side of a link, and test clients.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use crate::transport::{MAX_FDS, Transport};

/// Reads bytes and descriptors, which are close-on-exec, without waiting.
///
/// # Errors
/// What recvmsg(2) says, and `EMFILE` when descriptors were lost because this process can hold no
/// more: what follows in the stream makes no sense without them.
pub fn recv(socket: &UnixStream, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut control = nix::cmsg_space!([std::os::fd::RawFd; MAX_FDS]);
    let mut iov = [IoSliceMut::new(bytes)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut iov, Some(&mut control), flags)?;
    let count = message.bytes;
    let cut = message.flags.contains(MsgFlags::MSG_CTRUNC);
    let before = fds.len();
    for message in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = message {
            fds.extend(raw.into_iter().map(sys::own));
        }
    }
    // A peer that attaches more than there is room for loses the rest: the kernel closes
    // them, and the message that wanted one fails.
    if cut && fds.len() - before < MAX_FDS {
        return Err(Errno::EMFILE.into());
    }
    Ok(count)
}

/// Writes bytes and descriptors without waiting. A short count is fine; the descriptors go with the
/// first byte.
///
/// # Errors
/// What sendmsg(2) says. No signal is raised.
pub fn send(socket: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let raw: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let iov = [IoSlice::new(bytes)];
    Ok(sendmsg::<()>(
        socket.as_raw_fd(),
        &iov,
        control,
        flags,
        None,
    )?)
}

impl Transport for UnixStream {
    fn recv(&mut self, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
        recv(self, bytes, fds)
    }

    fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        send(self, bytes, fds)
    }

    fn polls_writable(&self) -> bool {
        true
    }
}

mod sys {
    #![allow(unsafe_code)]

    use std::os::fd::{FromRawFd, OwnedFd, RawFd};

    /// Owns a descriptor that `recvmsg` just created.
    pub(crate) fn own(fd: RawFd) -> OwnedFd {
        // SAFETY: SCM_RIGHTS installs a new descriptor for us; nothing else
        // knows its number.
        unsafe { OwnedFd::from_raw_fd(fd) }
    }
}
