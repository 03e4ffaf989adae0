//! The way to the host: a virtio_wl device, or an ordinary compositor socket.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;

use virtio_wl::{Channel, Memory};

use crate::shm::memory::{Allocator, MemfdAllocator, snapshot};
use crate::sys;
use crate::wire::InQueue;

/// Largest memory that is copied for a client, in bytes. Keymaps have some
/// 64 KiB.
const MAX_SNAPSHOT: usize = 16 << 20;

/// Where connections to the host are made.
pub trait Host: fmt::Debug {
    /// Opens one connection.
    ///
    /// # Errors
    /// When the host cannot be reached now.
    fn connect(&self) -> io::Result<Box<dyn HostStream>>;

    /// Where memory for the host comes from.
    fn allocator(&self) -> Rc<dyn Allocator>;

    /// What to watch, to know when to call [`dispatch`](Self::dispatch); `None`
    /// when connections become readable by themselves.
    fn event_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Makes connections readable for which something has arrived, and those
    /// that were full worth another try.
    ///
    /// # Errors
    /// When all connections have ended for good.
    fn dispatch(&self) -> io::Result<()> {
        Ok(())
    }
}

/// One connection to the host.
pub trait HostStream: fmt::Debug {
    /// What to poll: readable when [`receive`](Self::receive) will not block.
    fn as_fd(&self) -> BorrowedFd<'_>;

    /// Sends without blocking; all of `fds` go with the first byte. Returns how
    /// many bytes went.
    ///
    /// # Errors
    /// `WouldBlock`; `InvalidInput` for a descriptor that cannot be sent;
    /// `BrokenPipe` when the host is gone.
    fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize>;

    /// Receives without blocking. 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock`, and whatever ends the connection.
    fn receive(&mut self, queue: &mut InQueue<HostFd>) -> io::Result<usize>;
}

/// A descriptor from the host.
#[derive(Debug)]
pub enum HostFd {
    /// One that a client can have as it is.
    Plain(OwnedFd),
    /// Memory of the device.
    Memory(Memory),
    /// A pipe of the device.
    Stream(Channel),
}

impl HostFd {
    /// Makes a descriptor for a client, which expects files that it can measure
    /// and map as it likes, and pipes that it can write to.
    ///
    /// # Errors
    /// When that is not possible, e.g. for want of descriptors.
    pub fn into_client_fd(self) -> io::Result<OwnedFd> {
        match self {
            Self::Plain(fd) => Ok(fd),
            Self::Memory(memory) => match usize::try_from(memory.size()) {
                Ok(len) if len <= MAX_SNAPSHOT => snapshot(&memory, len),
                _ => Err(io::ErrorKind::FileTooLarge.into()),
            },
            Self::Stream(channel) => channel.into_pipe(),
        }
    }
}

/// A compositor of this machine, by its socket.
#[derive(Debug)]
pub struct SocketHost(PathBuf);

impl SocketHost {
    /// Connects to `path` for every client.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Host for SocketHost {
    fn connect(&self) -> io::Result<Box<dyn HostStream>> {
        Ok(Box::new(SocketStream::from(sys::connect(&self.0)?)))
    }

    fn allocator(&self) -> Rc<dyn Allocator> {
        Rc::new(MemfdAllocator)
    }
}

/// An ordinary socket as a connection to the host.
#[derive(Debug)]
pub struct SocketStream {
    stream: UnixStream,
    control: Vec<u8>,
}

impl From<UnixStream> for SocketStream {
    fn from(stream: UnixStream) -> Self {
        Self {
            stream,
            control: Vec::new(),
        }
    }
}

impl HostStream for SocketStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        sys::send(&self.stream, bytes, fds)
    }

    fn receive(&mut self, queue: &mut InQueue<HostFd>) -> io::Result<usize> {
        let mut fds = Vec::new();
        let len = sys::receive(&self.stream, queue.space(), &mut fds, &mut self.control)?;
        queue.filled(len);
        queue.fds.extend(fds.into_iter().map(HostFd::Plain));
        Ok(len)
    }
}
