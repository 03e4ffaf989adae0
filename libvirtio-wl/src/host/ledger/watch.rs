//! Watching memory until its last holder is gone.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use super::account::Reservation;

/// Reads of the event queue (4 KiB, about 250 events) one `dispatch` makes at most, so
/// that a holder who makes and drops memory without end cannot keep the caller here.
const READS_PER_DISPATCH: usize = 64;

/// Keeps reservations for as long as the memory they were made for is held anywhere.
///
/// Poll the descriptor ([`AsFd`]); when it is readable call [`Ledger::dispatch`].
///
/// A watch costs the host a little kernel memory, and `fs.inotify.max_user_watches`
/// bounds them per user: an account's `max_count` should stay well below it.
#[derive(Debug)]
pub struct Ledger {
    inotify: Inotify,
    /// `/proc/self/fdinfo/<inotify>`, which lists the watches that are alive. Opened at
    /// once, so that a sandbox can close `/proc` later.
    fdinfo: File,
    held: HashMap<WatchDescriptor, Reservation>,
}

/// What a [`Ledger::dispatch`] gave back to the accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Bytes of charge.
    pub bytes: u64,
    /// Pieces of memory.
    pub count: u64,
}

impl Ledger {
    /// A ledger with nothing on it.
    ///
    /// # Errors
    ///
    /// As `inotify_init1` (`EMFILE`: `fs.inotify.max_user_instances` is used up), or
    /// `/proc` is not there.
    pub fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let number = inotify.as_fd().as_raw_fd();
        let fdinfo = File::open(format!("/proc/self/fdinfo/{number}"))?;
        Ok(Self {
            inotify,
            fdinfo,
            held: HashMap::new(),
        })
    }

    /// Keeps `reservation` until the last descriptor and mapping of `memory` anywhere is
    /// gone. To be called before the memory is given away; the caller then drops its own
    /// descriptors and mappings, or the memory lives for ever.
    ///
    /// # Errors
    ///
    /// [`WatchError`]; the reservation is given back, and the memory must not be handed
    /// out, because nobody would know when it ends.
    pub fn watch(&mut self, memory: impl AsFd, reservation: Reservation) -> Result<(), WatchError> {
        // Not in nix: fail rather than change a watch that this inode already has.
        let create = AddWatchFlags::from_bits_retain(libc::IN_MASK_CREATE);
        let path = format!("/proc/self/fd/{}", memory.as_fd().as_raw_fd());
        let added = self
            .inotify
            .add_watch(path.as_str(), AddWatchFlags::IN_DELETE_SELF | create);
        let watch = match added {
            Ok(watch) => watch,
            Err(Errno::ENOSPC) => return Err(WatchError::Limit),
            Err(Errno::EEXIST) => return Err(WatchError::Twice),
            Err(errno) => return Err(WatchError::Io(errno.into())),
        };
        // The kernel hands out numbers in a circle of 2^31; should one come back whose
        // end was lost in an overflow, the older memory is gone for certain.
        self.held.insert(watch, reservation);
        Ok(())
    }

    /// Gives back what has ended since. Never blocks; stays readable when it did not
    /// get through.
    ///
    /// # Errors
    ///
    /// The watches cannot be read. Nothing is given back that is not known to be free.
    pub fn dispatch(&mut self) -> io::Result<Freed> {
        let mut freed = Freed::default();
        for _ in 0..READS_PER_DISPATCH {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            for event in events {
                self.event(&event, &mut freed)?;
            }
        }
        Ok(freed)
    }

    /// The descriptor to poll, for an event loop that wants to own what it polls.
    ///
    /// # Errors
    ///
    /// As `dup`.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.inotify.as_fd().try_clone_to_owned()
    }

    /// Pieces of memory watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether no memory is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn event(&mut self, event: &InotifyEvent, freed: &mut Freed) -> io::Result<()> {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            tracing::debug!(
                watched = self.held.len(),
                "event queue overflow, recounting"
            );
            return self.recount(freed);
        }
        // Each end comes as IN_DELETE_SELF and IN_IGNORED; the first one counts.
        if let Some(reservation) = self.held.remove(&event.wd) {
            freed.add(&reservation);
        }
        Ok(())
    }

    /// Finds out which watches are alive, after events were lost.
    pub(super) fn recount(&mut self, freed: &mut Freed) -> io::Result<()> {
        let alive = self.alive()?;
        self.held.retain(|watch, reservation| {
            let keep = alive.contains(&watch.as_raw());
            if !keep {
                freed.add(reservation);
            }
            keep
        });
        Ok(())
    }

    /// The live watches: lines `inotify wd:<hex> ino:…` of the descriptor's fdinfo.
    fn alive(&mut self) -> io::Result<HashSet<i32>> {
        let mut text = String::new();
        self.fdinfo.rewind()?;
        self.fdinfo.read_to_string(&mut text)?;
        text.lines()
            .filter_map(|line| line.strip_prefix("inotify wd:"))
            .map(|rest| {
                let number = rest.split(' ').next().unwrap_or_default();
                i32::from_str_radix(number, 16).map_err(io::Error::other)
            })
            .collect()
    }
}

impl Freed {
    fn add(&mut self, reservation: &Reservation) {
        self.bytes = self.bytes.saturating_add(reservation.bytes());
        self.count += 1;
    }
}

impl AsFd for Ledger {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Why memory cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The user's limit of watches is reached.
    #[error("no more watches for this user (raise fs.inotify.max_user_watches)")]
    Limit,
    /// This memory is watched already.
    #[error("memory is watched already")]
    Twice,
    /// `inotify_add_watch` failed.
    #[error("cannot watch memory")]
    Io(#[from] io::Error),
}
