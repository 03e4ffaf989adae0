//! What the driver waits for: one epoll instance, which is also the fd that users poll.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        eventfd::{EfdFlags, EventFd},
    },
};

use crate::wire::VfdId;

/// Events taken per call; more stay for the next one.
const BATCH: usize = 64;

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The device interrupts: it has used buffers.
    Interrupt,
    /// The vhost-user socket is readable, which it is only when the device is gone.
    Main,
    /// The device asks for a mapping.
    Requests,
    /// Another thread has news for the one that waits.
    Wake,
    /// A user has closed memory.
    Returned,
    /// The last duplicate of a stream VFD's fd was closed.
    Abandoned(VfdId),
}

/// VFD ids have 31 bits, so numbers above are free for the other sources.
const OTHERS: u64 = 1 << 32;

impl Source {
    fn to_cookie(self) -> u64 {
        match self {
            Self::Interrupt => OTHERS,
            Self::Main => OTHERS + 1,
            Self::Requests => OTHERS + 2,
            Self::Wake => OTHERS + 3,
            Self::Returned => OTHERS + 4,
            Self::Abandoned(id) => u64::from(id.get()),
        }
    }

    fn from_cookie(cookie: u64) -> Option<Self> {
        match cookie.checked_sub(OTHERS) {
            Some(0) => Some(Self::Interrupt),
            Some(1) => Some(Self::Main),
            Some(2) => Some(Self::Requests),
            Some(3) => Some(Self::Wake),
            Some(4) => Some(Self::Returned),
            Some(_) => None,
            None => VfdId::new(cookie as u32).ok().map(Self::Abandoned),
        }
    }
}

/// The epoll instance and the two eventfds in it.
///
/// Both eventfds are edge-triggered: each write is an event, and nobody ever reads them, which
/// saves a system call for every interrupt. (Their counters would take 2^64 writes to fill.)
#[derive(Debug)]
pub(super) struct Poller {
    epoll: Epoll,
    interrupt: EventFd,
    wake: EventFd,
}

impl Poller {
    /// A poller of the two eventfds.
    pub(super) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let poller = Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            interrupt: EventFd::from_flags(flags)?,
            wake: EventFd::from_flags(flags)?,
        };
        let edge = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        poller.add(&poller.interrupt, Source::Interrupt, edge)?;
        poller.add(&poller.wake, Source::Wake, edge)?;
        Ok(poller)
    }

    fn add(&self, fd: impl AsFd, source: Source, flags: EpollFlags) -> io::Result<()> {
        let event = EpollEvent::new(flags, source.to_cookie());
        Ok(self.epoll.add(fd, event)?)
    }

    /// Watches something for anything to read, or its end.
    pub(super) fn add_readable(&self, fd: impl AsFd, source: Source) -> io::Result<()> {
        self.add(fd, source, EpollFlags::EPOLLIN)
    }

    /// Watches the write end of a stream VFD's pipe: only for its error condition, which epoll
    /// always reports, and which means that no read end is left.
    pub(super) fn add_stream(&self, fd: impl AsFd, id: VfdId) -> io::Result<()> {
        self.add(fd, Source::Abandoned(id), EpollFlags::empty())
    }

    /// Stops watching. Closing is not enough: a forked child may hold the same file open.
    pub(super) fn remove(&self, fd: impl AsFd) {
        if let Err(errno) = self.epoll.delete(fd) {
            tracing::error!(%errno, "cannot stop watching");
        }
    }

    /// The eventfd on which the device interrupts.
    pub(super) fn interrupt(&self) -> &EventFd {
        &self.interrupt
    }

    /// Makes the poller readable as if the device had interrupted.
    pub(super) fn interrupt_self(&self) {
        signal(&self.interrupt);
    }

    /// Ends another thread's wait.
    pub(super) fn wake(&self) {
        signal(&self.wake);
    }

    /// Waits until something happens; `None` waits for ever. An interrupted wait is an empty one.
    pub(super) fn wait(&self, timeout: EpollTimeout) -> io::Result<Vec<Source>> {
        let mut events = [EpollEvent::empty(); BATCH];
        let count = match self.epoll.wait(&mut events, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        Ok(events[..count]
            .iter()
            .filter_map(|event| Source::from_cookie(event.data()))
            .collect())
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

/// Adds one to an eventfd. The only failure is a full counter, which is as good an event.
pub(super) fn signal(eventfd: &EventFd) {
    let _ = eventfd.write(1);
}
