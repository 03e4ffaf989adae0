//! Bytes and descriptors over a Unix stream socket, for the host's side of a connection.
#![allow(unsafe_code)]

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, ensure};
use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use crate::wait::{self, Deadline};

/// Most descriptors of one message (the kernel's `SCM_MAX_FD`).
const MAX_FDS: usize = 253;

/// Sends all of `bytes` with `fds`, as one message.
///
/// # Errors
/// When the peer is gone, or the message does not fit its buffer.
pub fn send(socket: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    let raw: Vec<RawFd> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights };
    let sent = sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(bytes)],
        control,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )
    .context("sendmsg")?;
    ensure!(sent == bytes.len(), "sent {sent} of {} bytes", bytes.len());
    Ok(())
}

/// Waits for a message: up to `limit` bytes, and the descriptors that came with them.
///
/// # Errors
/// When nothing comes in time, or descriptors got lost.
pub fn recv(socket: &UnixStream, limit: usize) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
    wait::readable(&[socket.as_fd()], Deadline::step())?;
    let mut bytes = vec![0; limit];
    let mut iov = [IoSliceMut::new(&mut bytes)];
    let mut control = cmsg_space!([RawFd; MAX_FDS]);
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut iov,
        Some(&mut control),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )
    .context("recvmsg")?;
    let count = message.bytes;
    let mut fds = Vec::new();
    for control in message.cmsgs().context("descriptors were lost")? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel has just installed these for us, and nobody else knows of them.
            fds.extend(
                raw.into_iter()
                    .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            );
        }
    }
    bytes.truncate(count);
    Ok((bytes, fds))
}
