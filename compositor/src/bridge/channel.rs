//! Connections that come over virtio_wl.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use virtio_wl::{Channel, MsgFlags, Vfd};

use super::transport::Transport;

impl Transport for Channel {
    fn recv(&mut self, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
        let mut vfds = Vec::new();
        let mut bufs = [IoSliceMut::new(bytes)];
        let count = Channel::recv(self, &mut bufs, &mut vfds, MsgFlags::DONTWAIT)?;
        for vfd in vfds {
            fds.push(ordinary(vfd)?);
        }
        Ok(count)
    }

    fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        Channel::send(self, &[IoSlice::new(bytes)], fds, MsgFlags::DONTWAIT)
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        AsFd::as_fd(self)
    }

    fn polls_writable(&self) -> bool {
        // Not every driver shows it.
        false
    }
}

/// What the display can use in place of a VFD: memory is mapped as it is, a
/// pipe becomes an ordinary one.
fn ordinary(vfd: Vfd) -> io::Result<OwnedFd> {
    let channel = match vfd {
        Vfd::Memory(memory) => return Ok(memory.into()),
        Vfd::Stream(channel) => channel,
    };
    match channel.into_pipe() {
        Ok(pipe) => Ok(pipe),
        Err(error) => {
            // No Wayland message of ours carries such a thing, or the client
            // has too many. The message still needs a descriptor in its place.
            tracing::warn!(%error, "received descriptor leads nowhere");
            let (reader, _writer) = io::pipe()?;
            Ok(reader.into())
        }
    }
}
