//! Bytes and descriptors over Unix sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    getsockname, recvmsg, sendmsg, socket,
};

use crate::wire::MAX_FDS_PER_SEND;

/// Connects to a socket without waiting.
///
/// Not `UnixStream::connect`, which waits while the backlog is full: somebody
/// who does not accept must not hold up others.
///
/// # Errors
/// `WouldBlock` when the backlog is full, `ConnectionRefused` when nobody
/// listens.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    nix::sys::socket::connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd.into())
}

/// Sends without blocking; all of `fds` go with the first byte.
///
/// # Errors
/// `WouldBlock`, and `BrokenPipe` when the peer is gone.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut raw = [-1; MAX_FDS_PER_SEND];
    let raw = raw
        .get_mut(..fds.len())
        .ok_or(io::ErrorKind::InvalidInput)?;
    for (raw, fd) in raw.iter_mut().zip(fds) {
        *raw = fd.as_raw_fd();
    }
    let rights = [ControlMessage::ScmRights(raw)];
    let rights = if fds.is_empty() { &[][..] } else { &rights };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    loop {
        match sendmsg::<()>(
            socket.as_fd().as_raw_fd(),
            &[IoSlice::new(bytes)],
            rights,
            flags,
            None,
        ) {
            Err(nix::Error::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Receives without blocking into `bytes`, descriptors into `fds`.
///
/// `control` is scratch space, allocated once. A result of 0 is the end.
///
/// # Errors
/// `WouldBlock`; `InvalidData` when descriptors were lost, because the peer sent
/// more at once than the protocol allows or no number was free for them.
pub(crate) fn receive(
    socket: impl AsFd,
    bytes: &mut [u8],
    fds: &mut impl Extend<OwnedFd>,
    control: &mut Vec<u8>,
) -> io::Result<usize> {
    if control.capacity() == 0 {
        *control = nix::cmsg_space!([RawFd; MAX_FDS_PER_SEND]);
    }
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let mut iov = [IoSliceMut::new(bytes)];
    loop {
        let socket = socket.as_fd().as_raw_fd();
        let message = match recvmsg::<()>(socket, &mut iov, Some(control), flags) {
            Err(nix::Error::EINTR) => continue,
            result => result?,
        };
        for item in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(received) = item {
                // SAFETY: the kernel made these descriptors for this call, and
                // nothing else knows them.
                fds.extend(
                    received
                        .into_iter()
                        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
                );
            }
        }
        if message.flags.contains(MsgFlags::MSG_CTRUNC) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "descriptors were lost",
            ));
        }
        return Ok(message.bytes);
    }
}

/// Takes over a socket that this process was started with, by its number.
///
/// # Errors
/// When the number is not that of an open Unix socket.
pub(crate) fn inherited_socket(number: RawFd) -> io::Result<OwnedFd> {
    if number <= libc::STDERR_FILENO {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    getsockname::<UnixAddr>(number)?;
    // SAFETY: the descriptor is open (checked), and the caller, whose job
    // starts with it, is its only user.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}
