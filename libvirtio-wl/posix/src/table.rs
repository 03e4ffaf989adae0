//! What is known of VFDs that were handed out, by the file behind them.
//!
//! Nobody says when such a VFD is closed. So an entry is kept for as long as the number that it was
//! handed out under still stands for the file, which is looked at when the table has grown.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use nix::sys::{
    eventfd::{EfdFlags, EventFd},
    stat::fstat,
};
use virtio_wl::{
    Peer, VfdKind,
    bare::{ListenerState, StreamState},
};

use crate::backlog::Backlog;

/// Entries before the first look for dead ones.
const FIRST_SWEEP: usize = 64;

static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);

/// A VFD that bytes flow over.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) kind: VfdKind,
    pub(crate) stream: StreamState,
    pub(crate) role: Role,
    pub(crate) backlog: Backlog,
    nonblocking: AtomicBool,
}

/// What a connection is there for.
#[derive(Debug)]
pub(crate) enum Role {
    /// Bytes and descriptors.
    Plain,
    /// As before, and the host has said who is at the other end.
    Accepted(Peer),
    /// Announcements of connections.
    Listener(ListenerState),
}

impl Connection {
    pub(crate) fn new(kind: VfdKind, role: Role, nonblocking: bool) -> Self {
        Self {
            kind,
            stream: StreamState::default(),
            role,
            backlog: Backlog::default(),
            nonblocking: AtomicBool::new(nonblocking),
        }
    }

    /// Whether it is there to be accepted from.
    pub(crate) fn is_listener(&self) -> bool {
        matches!(self.role, Role::Listener(_))
    }

    /// Whether calls fail rather than wait.
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }
}

/// Which file a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct File {
    device: u64,
    inode: u64,
    /// Told apart by their numbers only: files of drivers that give all of them one inode.
    number: Option<RawFd>,
}

#[derive(Debug)]
struct Entry {
    /// What it was handed out under.
    number: RawFd,
    connection: Arc<Connection>,
}

#[derive(Debug)]
struct Table {
    entries: HashMap<File, Entry>,
    sweep_at: usize,
    /// The inode that the kernel gives to all files that have none of their own.
    anonymous: Option<(u64, u64)>,
}

impl Default for Table {
    fn default() -> Self {
        let sample = EventFd::from_flags(EfdFlags::EFD_CLOEXEC)
            .and_then(|sample| fstat(sample.as_fd()))
            .map(|stat| (stat.st_dev, stat.st_ino));
        Self {
            entries: HashMap::new(),
            sweep_at: FIRST_SWEEP,
            anonymous: sample.ok(),
        }
    }
}

impl Table {
    fn file(&self, fd: BorrowedFd<'_>) -> nix::Result<File> {
        let stat = fstat(fd)?;
        let inode = (stat.st_dev, stat.st_ino);
        // Without a sample each duplicate is a stranger, which is safe.
        let shared = self.anonymous.is_none_or(|anonymous| anonymous == inode);
        Ok(File {
            device: stat.st_dev,
            inode: stat.st_ino,
            number: shared.then_some(fd.as_raw_fd()),
        })
    }

    fn insert(&mut self, fd: BorrowedFd<'_>, connection: Arc<Connection>) -> nix::Result<()> {
        if self.entries.len() >= self.sweep_at {
            self.sweep();
        }
        let file = self.file(fd)?;
        let number = fd.as_raw_fd();
        self.entries.insert(file, Entry { number, connection });
        Ok(())
    }

    fn get(&self, fd: BorrowedFd<'_>) -> nix::Result<Option<Arc<Connection>>> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let entry = self.entries.get(&self.file(fd)?);
        Ok(entry.map(|entry| Arc::clone(&entry.connection)))
    }

    /// Forgets what is no longer open under its number. A duplicate may be, which is a stranger
    /// from then on.
    fn sweep(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|file, entry| self.is_open(*file, entry.number));
        self.sweep_at = FIRST_SWEEP.max(2 * entries.len());
        self.entries = entries;
    }

    fn is_open(&self, file: File, number: RawFd) -> bool {
        sys::borrow(number).is_some_and(|fd| self.file(fd) == Ok(file))
    }
}

/// Remembers a VFD that is about to be handed out.
pub(crate) fn insert(fd: impl AsFd, connection: Connection) -> io::Result<()> {
    Ok(table().insert(fd.as_fd(), Arc::new(connection))?)
}

/// What is known of the VFD behind a number; `None` when it was not handed out here.
pub(crate) fn get(fd: BorrowedFd<'_>) -> io::Result<Option<Arc<Connection>>> {
    Ok(table().get(fd)?)
}

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) mod sys {
    //! Numbers that somebody else owns.
    #![allow(unsafe_code)]

    use std::os::fd::{BorrowedFd, RawFd};

    /// A number as a descriptor; `None` when it cannot be one. Whether it is open is for the system
    /// call to say that it is given to.
    pub(crate) fn borrow<'a>(number: RawFd) -> Option<BorrowedFd<'a>> {
        // SAFETY: not -1, and only passed to system calls, which check it: a number that its owner
        // closes meanwhile is the owner's race, as in C.
        (number >= 0).then(|| unsafe { BorrowedFd::borrow_raw(number) })
    }
}

#[cfg(test)]
mod tests;
