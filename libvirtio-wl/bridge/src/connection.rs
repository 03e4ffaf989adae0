//! Connections that come over virtio_wl.

use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use virtio_wl::bare::StreamState;
use virtio_wl::{Channel, Device, MsgFlags, Vfd};

use crate::keymaps::Keymaps;
use crate::transport::Transport;

/// A connection of a VM.
#[derive(Debug)]
pub struct Connection {
    channel: Channel,
    device: Device,
    vm: Rc<Share>,
}

/// What all connections of a VM use up together.
#[derive(Debug, Default)]
pub struct Share {
    keymaps: Keymaps,
    /// Counts the pipes that are carried. A device carries a few hundred in all, which one VM must
    /// not keep from others; so each may have as many as a channel has elsewhere.
    pipes: StreamState,
    /// It was said that there are too many.
    said: Cell<bool>,
}

impl Connection {
    /// A channel of `device`. `vm` is the same for all connections of a VM.
    pub fn new(channel: Channel, device: Device, vm: Rc<Share>) -> Self {
        Self {
            channel,
            device,
            vm,
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
            fds.push(self.vm.ordinary(vfd)?);
        }
        Ok(count)
    }

    fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let (outgoing, fresh) = self
            .vm
            .keymaps
            .prepare(fds, |bytes| allocate(&self.device, bytes))?;
        let fds: Vec<_> = outgoing.iter().map(AsFd::as_fd).collect();
        let bufs = [IoSlice::new(bytes)];
        let to = (self.channel.as_fd(), self.channel.kind());
        let pipes = &self.vm.pipes;
        let sent = self
            .device
            .send_on(to, pipes, &bufs, &fds, MsgFlags::DONTWAIT)?;
        self.vm.keymaps.sent(fresh);
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

impl Share {
    /// What the display can use in place of a VFD: memory is mapped as it is, a
    /// pipe becomes an ordinary one.
    fn ordinary(&self, vfd: Vfd) -> io::Result<OwnedFd> {
        let channel = match vfd {
            Vfd::Memory(memory) => return Ok(memory.into()),
            Vfd::Stream(channel) => channel,
        };
        match channel.into_pipe_of(&self.pipes) {
            Ok(pipe) => Ok(pipe),
            Err(error) => {
                // It is no pipe, or the VM has too many. The message still needs a descriptor in
                // its place. Said once: it may be so a million times.
                if !self.said.replace(true) {
                    tracing::warn!(%error, "received descriptors lead nowhere");
                }
                let (reader, _writer) = io::pipe()?;
                Ok(reader.into())
            }
        }
    }
}
