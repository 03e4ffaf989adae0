//! Which host descriptors are ready.
//!
//! Everything hangs below one descriptor, because the event loop of the
//! vhost-user crate passes only 16 bits of cookie on. Below it are two sets:
//! *readers*, which are cut off as a whole while the guest has no room for
//! messages, and *writers*, which must keep draining meanwhile.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::session::Key;

/// Ready descriptors taken per call; more are found by the next.
const BATCH: usize = 64;

/// Wakes the worker from another thread, or from itself for a further turn.
#[derive(Clone, Debug)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    /// A waker on its own, to be polled by [`Waker::fd`].
    ///
    /// # Errors
    /// No descriptors left.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Waker(Arc::new(EventFd::from_flags(flags)?)))
    }

    /// Readable after [`Waker::wake`] until [`Waker::acknowledge`].
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Makes the watched descriptor readable.
    pub fn wake(&self) {
        // Fails only when the counter is full, and then it is readable already.
        let _ = self.0.write(1);
    }

    /// Forgets all wakes so far.
    pub fn acknowledge(&self) {
        let _ = self.0.read();
    }
}

/// The readiness of one guest's host descriptors.
#[derive(Debug)]
pub struct Watch {
    root: Epoll,
    readers: Epoll,
    writers: Epoll,
    waker: Waker,
    reading: bool,
    writing: usize,
}

impl Watch {
    /// Nothing watched yet.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn new() -> io::Result<Self> {
        let epoll = || Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
        let watch = Watch {
            root: epoll()?,
            readers: epoll()?,
            writers: epoll()?,
            waker: Waker::new()?,
            reading: true,
            writing: 0,
        };
        let readable = EpollEvent::new(EpollFlags::EPOLLIN, 0);
        watch.root.add(&watch.readers.0, readable)?;
        watch.root.add(&watch.writers.0, readable)?;
        watch.root.add(&*watch.waker.0, readable)?;
        Ok(watch)
    }

    /// The one descriptor to poll, for input.
    #[must_use]
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.0.as_fd()
    }

    /// Wakes whoever polls the root.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Watches `fd` for input (or only for hanging up), under `key`.
    ///
    /// # Errors
    /// The kernel's; the descriptor is not watched then.
    pub fn add_reader(&self, key: Key, fd: BorrowedFd<'_>, input: bool) -> io::Result<()> {
        let interest = if input {
            EpollFlags::EPOLLIN
        } else {
            EpollFlags::empty()
        };
        self.readers
            .add(fd, EpollEvent::new(interest, u64::from(key)))?;
        Ok(())
    }

    /// Stops watching. Must happen before `fd` is closed here, as someone else
    /// may hold the same open file description.
    pub fn remove_reader(&self, fd: BorrowedFd<'_>) {
        let _ = self.readers.delete(fd);
    }

    /// Watches `fd` for room to write.
    ///
    /// # Errors
    /// The kernel's.
    pub fn add_writer(&mut self, key: Key, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.writers
            .add(fd, EpollEvent::new(EpollFlags::EPOLLOUT, u64::from(key)))?;
        self.writing += 1;
        Ok(())
    }

    /// Stops watching for room.
    pub fn remove_writer(&mut self, fd: BorrowedFd<'_>) {
        if self.writers.delete(fd).is_ok() {
            self.writing -= 1;
        }
    }

    /// Number of descriptors watched for room.
    #[cfg(any(test, feature = "test-util"))]
    #[must_use]
    pub fn writers_watched(&self) -> usize {
        self.writing
    }

    /// Cuts all readers off, or connects them again.
    pub fn set_reading(&mut self, on: bool) {
        if on == self.reading {
            return;
        }
        let result = if on {
            self.root
                .add(&self.readers.0, EpollEvent::new(EpollFlags::EPOLLIN, 0))
        } else {
            self.root.delete(&self.readers.0)
        };
        match result {
            Ok(()) => self.reading = on,
            Err(error) => tracing::error!(%error, on, "cannot switch the readers"),
        }
    }

    /// Calls `found` for each ready reader, up to a batch.
    pub fn readers(&self, found: impl FnMut(Key)) {
        ready(&self.readers, found);
    }

    /// Calls `found` for each writer that has room, up to a batch.
    pub fn writers(&self, found: impl FnMut(Key)) {
        if self.writing > 0 {
            ready(&self.writers, found);
        }
    }
}

fn ready(epoll: &Epoll, mut found: impl FnMut(Key)) {
    let mut events = [EpollEvent::empty(); BATCH];
    match epoll.wait(&mut events, EpollTimeout::ZERO) {
        Ok(count) => events[..count]
            .iter()
            .filter_map(|event| Key::try_from(event.data()).ok())
            .for_each(&mut found),
        Err(nix::Error::EINTR) => {}
        Err(error) => tracing::error!(%error, "cannot poll host descriptors"),
    }
}
