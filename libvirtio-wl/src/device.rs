//! The device, and what can be made with it.

use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex},
};

use crate::{
    address::DeviceAddress,
    channel::Channel,
    dispatcher::Dispatcher,
    driver::{Driver, DriverStats, NewVfd, kernel::KernelDriver},
    error::{Error, Result},
    handle::OwnedVfd,
    limits::{MAX_MEMORY_SIZE, PAGE_SIZE},
    listener::Listener,
    memory::Memory,
    memory_server::MemoryServer,
    pump::Pump,
    vfd::Vfd,
    wire::{ContextName, PipeDirection, VfdKind},
};

/// An open virtio_wl device. Clones share it; it closes when the last clone and the last
/// [`Channel`] and [`Listener`] are gone.
///
/// With the guest kernel's driver, VFDs become readable by themselves. With the embedded driver
/// (`vhost-user:PATH`) somebody has to move what arrives: either the program's event loop polls
/// [`event_fd`](Self::event_fd) and calls [`dispatch`](Self::dispatch), or it starts
/// [`spawn_dispatcher`](Self::spawn_dispatcher) once. Blocking calls of this library dispatch by
/// themselves while they wait.
#[derive(Clone)]
pub struct Device {
    inner: Arc<Inner>,
}

/// What everything made from one device shares.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) pump: Pump,
    memory_server: MemoryServer,
    dispatcher: Mutex<Option<Dispatcher>>,
}

impl Device {
    /// Opens the device that `VIRTIO_WL_DEVICE` names, `/dev/wl0` by default.
    pub fn open() -> Result<Self> {
        Self::open_address(&DeviceAddress::from_env()?)
    }

    /// Opens a device.
    pub fn open_address(address: &DeviceAddress) -> Result<Self> {
        Ok(Self::with_driver(open_driver(address)?))
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn with_driver(driver: Arc<dyn Driver>) -> Self {
        Self {
            inner: Arc::new(Inner {
                pump: Pump::default(),
                driver,
                memory_server: MemoryServer::default(),
                dispatcher: Mutex::new(None),
            }),
        }
    }

    /// Connects to a context of the host; the empty name is the default one.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] for a name longer than 32 bytes, [`Error::Connect`] with `ENODEV` when the
    /// host has no such context or nobody listens behind it.
    pub fn connect(&self, name: &str) -> Result<Channel> {
        let name = ContextName::new(name)?;
        self.inner
            .connect(&name)
            .map_err(|source| Error::Connect { name, source })
    }

    /// Opens a context on which the host announces connections, usually
    /// [`ACCEPT_CONTEXT`](crate::accept_record::ACCEPT_CONTEXT).
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn listen(&self, name: &str) -> Result<Listener> {
        Ok(Listener::new(self.connect(name)?))
    }

    /// Allocates shared memory that can be sent to other guests and to the host.
    ///
    /// `size` is rounded up to whole pages of 4096 bytes, 0 counting as one. The memory comes from
    /// the host's memory server when the device has that context, and from the device itself
    /// otherwise. It is zeroed.
    ///
    /// # Errors
    ///
    /// [`Error::Allocate`] with `EDQUOT` when the guest's quota is used up, `EFBIG` when the size
    /// does not fit 32 bits or what the host allows at once, `ENOMEM` when the host or the shared
    /// memory region is full, `ETIMEDOUT` when the memory server does not answer.
    pub fn allocate(&self, size: u64) -> Result<Memory> {
        self.inner
            .allocate(size)
            .map_err(|source| Error::Allocate { size, source })
    }

    /// Creates a pipe and keeps the end that `direction` names. Passing the channel with
    /// [`Channel::send`] passes the other end, once.
    ///
    /// # Errors
    ///
    /// [`Error::Pipe`].
    pub fn pipe(&self, direction: PipeDirection) -> Result<Channel> {
        let vfd = self
            .inner
            .new_pipe(direction)
            .map_err(|source| Error::Pipe { direction, source })?;
        Ok(Channel::new(Arc::clone(&self.inner), vfd))
    }

    /// What an event loop polls, level-triggered for reading, to know when to call
    /// [`dispatch`](Self::dispatch). `None` when no one need call it.
    pub fn event_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.driver.event_fd()
    }

    /// Hands what has arrived to the channels it is for, which become readable. Never blocks.
    ///
    /// # Errors
    ///
    /// The device is gone: every channel has hung up, and no further call is needed.
    pub fn dispatch(&self) -> io::Result<()> {
        self.inner.driver.dispatch()
    }

    /// Starts a background thread that dispatches; calling it again does nothing. It ends with the
    /// device.
    ///
    /// # Errors
    ///
    /// [`Error::Thread`] when the thread cannot be started.
    pub fn spawn_dispatcher(&self) -> Result<()> {
        let mut slot = lock(&self.inner.dispatcher);
        if slot.is_none() {
            *slot = Dispatcher::spawn(&self.inner.driver)
                .map_err(|source| Error::Thread("dispatcher", source))?;
        }
        Ok(())
    }

    /// Counters of the driver since the device was opened; `None` when it keeps none.
    pub fn stats(&self) -> Option<DriverStats> {
        self.inner.driver.stats()
    }

    /// Takes a bare VFD back, for callers that could only keep its descriptor.
    ///
    /// What had arrived on a channel ahead of its bytes was closed with the channel it came from. The
    /// kernel's driver may give a pipe's direction wrongly for pipes of devices that do not say it.
    ///
    /// # Errors
    ///
    /// `ENOTTY` when it is no VFD of this device; the descriptor is closed all the same.
    pub fn vfd_from_fd(&self, fd: OwnedFd) -> io::Result<Vfd> {
        let kind = self
            .identify(fd.as_fd())?
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOTTY))?;
        let vfd = self.inner.own(NewVfd { fd, kind });
        Ok(Vfd::new(&self.inner, vfd))
    }

    /// What a file descriptor is: a VFD of this device, or something else (`None`).
    ///
    /// Duplicates of a VFD are that VFD.
    ///
    /// # Errors
    ///
    /// The errno of looking at the descriptor, `EBADF` for instance.
    pub fn identify(&self, fd: BorrowedFd<'_>) -> io::Result<Option<VfdKind>> {
        self.inner.driver.identify(fd)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Device").field(&self.inner.driver).finish()
    }
}

impl Inner {
    pub(crate) fn connect(self: &Arc<Self>, name: &ContextName) -> io::Result<Channel> {
        let vfd = self.own(self.driver.new_context(name)?);
        Ok(Channel::new(Arc::clone(self), vfd))
    }

    pub(crate) fn new_pipe(&self, direction: PipeDirection) -> io::Result<OwnedVfd> {
        Ok(self.own(self.driver.new_pipe(direction)?))
    }

    fn own(&self, vfd: NewVfd) -> OwnedVfd {
        OwnedVfd::new(&self.driver, vfd)
    }

    pub(crate) fn allocate(&self, size: u64) -> io::Result<Memory> {
        let size = size
            .max(1)
            .checked_next_multiple_of(PAGE_SIZE)
            .filter(|&size| size <= MAX_MEMORY_SIZE)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EFBIG))?;
        match self.memory_server.allocate(&self.driver, size)? {
            Some(memory) => Ok(memory),
            None => self.allocate_from_device(size),
        }
    }

    fn allocate_from_device(&self, size: u64) -> io::Result<Memory> {
        let wire_size =
            u32::try_from(size).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
        let vfd = self.own(self.driver.new_memory(wire_size)?);
        match vfd.kind() {
            VfdKind::Memory { size: got } if got >= size => Ok(Memory::new(vfd, got)),
            _ => Err(io::Error::from_raw_os_error(libc::EPROTO)),
        }
    }
}

fn open_driver(address: &DeviceAddress) -> Result<Arc<dyn Driver>> {
    match address {
        DeviceAddress::Kernel(path) => Ok(Arc::new(KernelDriver::open(path)?)),
        #[cfg(feature = "user-driver")]
        DeviceAddress::VhostUser(path) => {
            Ok(Arc::new(crate::driver::user::UserDriver::connect(path)?))
        }
        #[cfg(not(feature = "user-driver"))]
        DeviceAddress::VhostUser(_) => Err(Error::Unsupported(
            "vhost-user: addresses need the feature user-driver",
        )),
    }
}

/// Locks a mutex whose guarded state is valid whenever it is unlocked, so that a panic of
/// another holder does not matter.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
