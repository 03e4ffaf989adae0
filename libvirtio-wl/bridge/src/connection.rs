//! Connections that come over virtio_wl.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use virtio_wl::{Channel, Device, MsgFlags, Vfd};

use crate::keymaps::Keymaps;
use crate::transport::Transport;

/// A connection of a VM.
#[derive(Debug)]
pub struct Connection {
    channel: Channel,
    device: Device,
    keymaps: Rc<Keymaps>,
}

impl Connection {
    /// A channel of `device`. `keymaps` is the same for all connections of a VM.
    pub fn new(channel: Channel, device: Device, keymaps: Rc<Keymaps>) -> Self {
        Self {
            channel,
            device,
            keymaps,
        }
    }
}

impl Transport for Connection {
    fn recv(&mut self, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
        let mut vfds = Vec::new();
        let mut bufs = [IoSliceMut::new(bytes)];
        let count = self
            .channel
            .recv(&mut bufs, &mut vfds, MsgFlags::DONTWAIT)?;
        for vfd in vfds {
            fds.push(ordinary(vfd)?);
        }
        Ok(count)
    }

    fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let (outgoing, fresh) = self
            .keymaps
            .prepare(fds, |bytes| allocate(&self.device, bytes))?;
        let fds: Vec<_> = outgoing.iter().map(AsFd::as_fd).collect();
        let bufs = [IoSlice::new(bytes)];
        let sent = self.channel.send(&bufs, &fds, MsgFlags::DONTWAIT)?;
        self.keymaps.sent(fresh);
        Ok(sent)
    }

    fn polls_writable(&self) -> bool {
        // Not every driver shows it.
        false
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

/// Memory of the device with `bytes` in it.
fn allocate(device: &Device, bytes: &[u8]) -> io::Result<OwnedFd> {
    let memory = device.allocate(bytes.len() as u64)?;
    memory.map()?.write(0, bytes)?;
    Ok(memory.into_fd())
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
