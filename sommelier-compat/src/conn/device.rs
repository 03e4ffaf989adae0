//! The host behind a virtio_wl device.

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use virtio_wl::{Channel, Device, DeviceAddress, MsgFlags, Vfd};

use super::host::{Host, HostFd, HostStream};
use crate::shm::memory::{Allocator, SharedMemory};
use crate::wire::InQueue;

/// Connections through a device: the default context, once for every client.
///
/// A device that the kernel drives may be taken out and put in again, or another in its place. What
/// was made from it has ended then; a new connection opens the device anew.
#[derive(Clone, Debug)]
pub struct DeviceHost(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    address: DeviceAddress,
    device: RefCell<Device>,
    /// The device, when it is one that has to be dispatched: such a one is never replaced.
    embedded: Option<Device>,
}

impl DeviceHost {
    /// Opens a device.
    ///
    /// # Errors
    /// As [`Device::open_address`].
    pub fn open(address: DeviceAddress) -> virtio_wl::Result<Self> {
        let device = Device::open_address(&address)?;
        Ok(Self(Rc::new(Shared {
            address,
            embedded: device.event_fd().is_some().then(|| device.clone()),
            device: RefCell::new(device),
        })))
    }

    fn device(&self) -> Device {
        self.0.device.borrow().clone()
    }

    /// Connects through the device that is there now. `ENODEV` says that this is not the open one
    /// any more, or that nobody listens: the second try tells.
    fn connect_anew(&self, first: virtio_wl::Error) -> io::Result<Channel> {
        let replaceable = self.0.embedded.is_none() && is_enodev(&first);
        let Some(device) = replaceable
            .then(|| Device::open_address(&self.0.address).ok())
            .flatten()
        else {
            return Err(io::Error::other(first));
        };
        let channel = device.connect("").map_err(io::Error::other)?;
        tracing::info!(device = %self.0.address, "opened anew");
        self.0.device.replace(device);
        Ok(channel)
    }
}

fn is_enodev(error: &virtio_wl::Error) -> bool {
    matches!(error, virtio_wl::Error::Connect { source, .. } if source.raw_os_error() == Some(libc::ENODEV))
}

impl Host for DeviceHost {
    fn connect(&self) -> io::Result<Box<dyn HostStream>> {
        let channel = match self.device().connect("") {
            Ok(channel) => channel,
            Err(error) => self.connect_anew(error)?,
        };
        Ok(Box::new(DeviceStream {
            channel,
            vfds: Vec::new(),
        }))
    }

    fn allocator(&self) -> Rc<dyn Allocator> {
        Rc::new(self.clone())
    }

    fn event_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.embedded.as_ref()?.event_fd()
    }

    fn dispatch(&self) -> io::Result<()> {
        self.0.embedded.as_ref().map_or(Ok(()), Device::dispatch)
    }
}

impl Allocator for DeviceHost {
    fn allocate(&self, len: usize) -> io::Result<SharedMemory> {
        let memory = self
            .device()
            .allocate(len as u64)
            .map_err(io::Error::other)?;
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
