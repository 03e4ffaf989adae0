//! The few system calls that need `unsafe` or raw descriptors, each wrapped so
//! that the rest of the crate sees only owned and borrowed descriptors.

#![allow(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Most descriptors one message carries in either direction: the limit of the
/// virtio_wl protocol, and libwayland's own.
pub(crate) const MAX_FDS: usize = 28;

/// What one receive call returned.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Bytes placed at the start of the buffer; 0 is the end of the stream.
    pub(crate) len: usize,
    /// Descriptors that came with these bytes, all close-on-exec.
    pub(crate) fds: Vec<OwnedFd>,
    /// The kernel could not deliver all descriptors (more than [`MAX_FDS`], or
    /// no free descriptor here). The stream is no longer trustworthy.
    pub(crate) truncated: bool,
}

/// Receives once from a stream socket without blocking, whatever the socket's
/// own mode is: `O_NONBLOCK` belongs to the open file description, which a
/// received socket may share with its sender.
pub(crate) fn recv(
    socket: BorrowedFd<'_>,
    buf: &mut [u8],
    control: &mut Vec<u8>,
) -> io::Result<Received> {
    let mut iov = [IoSliceMut::new(buf)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let msg = recvmsg::<()>(socket.as_raw_fd(), &mut iov, Some(control), flags)?;
    let mut received = Received {
        len: msg.bytes,
        truncated: msg.flags.contains(MsgFlags::MSG_CTRUNC),
        ..Received::default()
    };
    if let Ok(cmsgs) = msg.cmsgs() {
        for cmsg in cmsgs {
            if let ControlMessageOwned::ScmRights(fds) = cmsg {
                received.fds.extend(fds.into_iter().map(|fd| {
                    // SAFETY: the kernel has just created this descriptor for
                    // us, and nothing else in the process knows its number.
                    unsafe { OwnedFd::from_raw_fd(fd) }
                }));
            }
        }
    }
    Ok(received)
}

/// Buffer for the control messages of one [`recv`]: room for [`MAX_FDS`].
pub(crate) fn control_buffer() -> Vec<u8> {
    nix::cmsg_space!([RawFd; MAX_FDS])
}

/// Sends once to a stream socket, without blocking and without `SIGPIPE`.
/// All descriptors go with the first byte, or the call fails.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let iov = [IoSlice::new(bytes)];
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let cmsgs: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    Ok(sendmsg::<()>(socket.as_raw_fd(), &iov, cmsgs, flags, None)?)
}

/// The number behind a descriptor, for diagnostics and `/proc` paths only.
pub(crate) fn number(fd: impl AsFd) -> RawFd {
    fd.as_fd().as_raw_fd()
}
