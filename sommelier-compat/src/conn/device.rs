//! The host behind a virtio_wl device.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use virtio_wl::{Channel, Device, MsgFlags, Vfd};

use super::host::{Host, HostFd, HostStream};
use crate::shm::memory::{Allocator, SharedMemory};
use crate::wire::InQueue;

/// Connections through a device: the default context, once for every client.
#[derive(Clone, Debug)]
pub struct DeviceHost(Device);

impl DeviceHost {
    /// Uses an open device.
    #[must_use]
    pub fn new(device: Device) -> Self {
        Self(device)
    }
}

impl Host for DeviceHost {
    fn connect(&self) -> io::Result<Box<dyn HostStream>> {
        let channel = self.0.connect("").map_err(io::Error::other)?;
        Ok(Box::new(DeviceStream {
            channel,
            vfds: Vec::new(),
        }))
    }

    fn allocator(&self) -> Rc<dyn Allocator> {
        Rc::new(self.clone())
    }

    fn event_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.event_fd()
    }

    fn dispatch(&self) -> io::Result<()> {
        self.0.dispatch()
    }
}

impl Allocator for DeviceHost {
    fn allocate(&self, len: usize) -> io::Result<SharedMemory> {
        let memory = self.0.allocate(len as u64).map_err(io::Error::other)?;
        // The value, not its bare descriptor: dropping it is what gives the memory back.
        SharedMemory::new(memory, len)
    }
}

#[derive(Debug)]
struct DeviceStream {
    channel: Channel,
    /// Scratch space.
    vfds: Vec<Vfd>,
}

impl HostStream for DeviceStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }

    fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.channel
            .send(&[IoSlice::new(bytes)], fds, MsgFlags::DONTWAIT)
    }

    fn receive(&mut self, queue: &mut InQueue<HostFd>) -> io::Result<usize> {
        let Self { channel, vfds } = self;
        let mut space = [IoSliceMut::new(queue.space())];
        let received = channel.recv(&mut space, vfds, MsgFlags::DONTWAIT);
        queue.fds.extend(vfds.drain(..).map(|vfd| match vfd {
            Vfd::Memory(memory) => HostFd::Memory(memory),
            Vfd::Stream(stream) => HostFd::Stream(stream),
        }));
        let len = received?;
        queue.filled(len);
        Ok(len)
    }
}
