//! Memory that users hold, and when the last of them has let go.
//!
//! A memory VFD is a file that the device has open too, so that its end shows nowhere by itself.
//! Users therefore get an *open file description* of their own (the file opened again), shared by
//! all duplicates of their fd and by all mappings made of them, in this process and others. A lock
//! is put on it, on one byte far beyond any memory, which the kernel drops with that description:
//! asking for the lock tells the truth at any time. When to ask is what inotify tells. The kernel
//! limits inotify per user; files that cannot be watched are asked about whenever a user closes or
//! creates something.
//!
//! Where a file cannot be opened again (no `/proc`, another user's file), users get a duplicate of
//! ours, which closes by [`Driver::close`](crate::driver::Driver::close) only.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl, open},
    libc,
    sys::{
        inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
        stat::Mode,
    },
};

use vmm_sys_util::timerfd::TimerFd;

use super::{sys, token::FileId};
use crate::wire::VfdId;

/// First of the bytes to lock, one per VFD id; no memory is this large.
const FIRST_MARK: i64 = 1 << 62;

/// The kernel tells of a close shortly before it drops the locks, so a file may have to be asked
/// again: this often at once, then after pauses up to [`LAST_ASK`], should who closes it have lost the
/// processor in between, and then whenever something else is closed. In vain only if somebody else
/// opens and closes the same file.
const MAX_ASKS: u32 = 16;

/// The pause before the first ask that is not at once; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The last ask that has a pause of its own: of a second.
const LAST_ASK: u32 = MAX_ASKS + 10;

/// All memory that users hold.
#[derive(Debug)]
pub(super) struct Lending {
    inotify: Option<Inotify>,
    lent: HashMap<FileId, Lent>,
    watches: HashMap<WatchDescriptor, FileId>,
    /// Files that were closed by somebody but whose marks are all still there.
    suspects: Vec<(FileId, u32)>,
    /// Runs while one of them is to be asked after a pause.
    pause: Option<TimerFd>,
}

/// One file; memory that was received twice is lent twice.
#[derive(Debug)]
struct Lent {
    file: Arc<OwnedFd>,
    watch: Option<WatchDescriptor>,
    ids: Vec<VfdId>,
}

impl Lending {
    /// Nothing is lent yet.
    pub(super) fn new() -> Self {
        Self::with_inotify(
            Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
                .inspect_err(|errno| tracing::debug!(%errno, "cannot watch memory"))
                .ok(),
        )
    }

    fn with_inotify(inotify: Option<Inotify>) -> Self {
        Self {
            inotify,
            lent: HashMap::new(),
            watches: HashMap::new(),
            suspects: Vec::new(),
            pause: TimerFd::new()
                .inspect_err(|error| tracing::debug!(%error, "cannot wait for memory"))
                .ok(),
        }
    }

    /// Each readable when [`returned`](Self::returned) should be called; none when nothing tells.
    pub(super) fn events(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let inotify = self.inotify.as_ref().map(AsFd::as_fd);
        inotify
            .into_iter()
            .chain(self.pause.as_ref().map(sys::timer_fd))
    }

    /// A file descriptor of `file` for a user.
    pub(super) fn lend(
        &mut self,
        id: VfdId,
        identity: FileId,
        file: &Arc<OwnedFd>,
    ) -> io::Result<OwnedFd> {
        match self.lend_watched(id, identity, file) {
            Ok(fd) => Ok(fd),
            // No number left: a duplicate would need one just the same.
            Err(errno @ (Errno::EMFILE | Errno::ENFILE)) => Err(errno.into()),
            Err(errno) => {
                tracing::debug!(%id, %errno, "cannot tell when this memory is closed");
                file.try_clone()
            }
        }
    }

    fn lend_watched(
        &mut self,
        id: VfdId,
        identity: FileId,
        file: &Arc<OwnedFd>,
    ) -> Result<OwnedFd, Errno> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // No more access than the device gave.
        let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
        let fd = open(
            path.as_str(),
            (flags & OFlag::O_ACCMODE) | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        fcntl(&fd, FcntlArg::F_OFD_SETLK(&mark(id, libc::F_RDLCK)))?;
        let lent = self.lent.entry(identity).or_insert_with(|| Lent {
            file: Arc::clone(file),
            watch: None,
            ids: Vec::new(),
        });
        lent.ids.push(id);
        if lent.watch.is_none()
            && let Some(inotify) = &self.inotify
        {
            let closes = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_CLOSE_NOWRITE;
            lent.watch = inotify.add_watch(path.as_str(), closes).ok();
            self.watches
                .extend(lent.watch.map(|watch| (watch, identity)));
        }
        Ok(fd)
    }

    /// The VFD is closed, whatever users still hold of its file.
    pub(super) fn forget(&mut self, id: VfdId, identity: FileId) {
        let Some(lent) = self.lent.get_mut(&identity) else {
            return;
        };
        lent.ids.retain(|&other| other != id);
        if lent.ids.is_empty() {
            let watch = lent.watch;
            self.lent.remove(&identity);
            if let (Some(watch), Some(inotify)) = (watch, &self.inotify) {
                self.watches.remove(&watch);
                // It may be gone already, with the file.
                let _ = inotify.rm_watch(watch);
            }
        }
    }

    /// The VFDs whose memory no user holds any more, as far as known by now.
    pub(super) fn returned(&mut self) -> Vec<VfdId> {
        let events = self.inotify.as_ref().map(Inotify::read_events);
        let events = events.and_then(Result::ok).unwrap_or_default();
        let mut asked = self.due_suspects(!events.is_empty());
        for event in events {
            if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                asked = self.lent.keys().map(|&identity| (identity, 0)).collect();
                break;
            }
            if let Some(&identity) = self.watches.get(&event.wd)
                && !asked.iter().any(|&(other, _)| other == identity)
            {
                asked.push((identity, 0));
            }
        }
        let unwatched = self.lent.iter().filter(|(_, lent)| lent.watch.is_none());
        asked.extend(unwatched.map(|(&identity, _)| (identity, LAST_ASK)));
        let mut returned = Vec::new();
        for (identity, asks) in asked {
            let Some(lent) = self.lent.get(&identity) else {
                continue;
            };
            let before = returned.len();
            returned.extend(lent.ids.iter().filter(|&&id| !lent.is_held(id)));
            if returned.len() == before && lent.watch.is_some() {
                self.suspects.push((identity, LAST_ASK.min(asks + 1)));
            }
        }
        self.set_pause();
        returned
    }

    /// Takes those suspects that are to be asked now: all of them when something else was closed.
    fn due_suspects(&mut self, something_closed: bool) -> Vec<(FileId, u32)> {
        let paused = self
            .pause
            .as_mut()
            .is_some_and(|pause| pause.is_armed().unwrap_or(false));
        let due = |asks: u32| something_closed || asks < MAX_ASKS || !paused && asks < LAST_ASK;
        self.suspects
            .extract_if(.., |(_, asks)| due(*asks))
            .collect()
    }

    /// Has the pause before the next ask begin, if there is to be one.
    fn set_pause(&mut self) {
        let Some(pause) = &mut self.pause else { return };
        let pauses = self.suspects.iter().map(|&(_, asks)| asks);
        let next = pauses
            .filter(|asks| (MAX_ASKS..LAST_ASK).contains(asks))
            .min();
        let set = match next {
            // Begun already, and not for a later one.
            Some(_) if pause.is_armed().unwrap_or(false) => Ok(()),
            Some(asks) => pause.reset(FIRST_PAUSE * (1 << (asks - MAX_ASKS)), None),
            // Also makes it unreadable.
            None => pause.clear(),
        };
        if let Err(error) = set {
            tracing::error!(%error, "cannot wait for memory");
        }
    }

    /// Whether [`returned`](Self::returned) should be called again soon, without an event.
    pub(super) fn is_unsure(&self) -> bool {
        self.suspects.iter().any(|&(_, asks)| asks < MAX_ASKS)
    }

    /// Whether [`returned`](Self::returned) may have something without any event.
    pub(super) fn has_unwatched(&self) -> bool {
        self.lent.values().any(|lent| lent.watch.is_none())
    }

    /// Whether the end of this VFD's memory will be noticed.
    pub(super) fn watches(&self, id: VfdId, identity: FileId) -> bool {
        self.lent
            .get(&identity)
            .is_some_and(|lent| lent.ids.contains(&id))
    }
}

impl Lent {
    /// Whether the lock of this VFD's user is still there.
    fn is_held(&self, id: VfdId) -> bool {
        let mut probe = mark(id, libc::F_WRLCK);
        match fcntl(&self.file, FcntlArg::F_OFD_GETLK(&mut probe)) {
            Ok(_) => probe.l_type != libc::F_UNLCK as libc::c_short,
            Err(errno) => {
                tracing::error!(%id, %errno, "cannot ask for a lock");
                true
            }
        }
    }
}

/// The lock on a VFD's byte.
fn mark(id: VfdId, kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: FIRST_MARK + i64::from(id.get()),
        l_len: 1,
        // Must be 0 for a lock of an open file description.
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests;
