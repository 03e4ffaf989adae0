//! Whether the guest can see a mapping yet.
//!
//! A frontend may say that it has mapped memory before the guest can see it: QEMU (11.1) answers
//! first and changes the guest's memory afterwards, and whoever looks in between finds nothing at
//! the new place. Its last step is to send the device the new table of guest memory, in which every
//! mapping is a region. So what tells the guest of a mapping waits for that table.
//!
//! Other frontends (crosvm's, cloud-hypervisor's, the embedded driver) map first, answer then, and
//! send no table. Which kind this one is shows before its first mapping: a page is mapped, and
//! unmapped again. A frontend does one request after the other, so when it has answered the second,
//! it has told of the first, or does not tell. A frontend that is found to tell later waits from
//! then on; and one that stops telling costs a wait of [`PATIENCE`] once.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use vmm_sys_util::timerfd::TimerFd;

use super::table::Piece;

#[cfg(test)]
mod tests;

/// How long a frontend may take from its answer to its table. QEMU needs 60 ms with 400 mappings
/// on a slow machine; this only bounds the harm of a table that never comes, as when the guest has
/// switched the region off.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most mappings of a frontend that tells of them. A vhost-user table holds 509 regions, and what
/// does not fit is never told; some are the guest's own memory.
const MAX_TOLD: usize = 480;

/// Whether the frontend sends tables that contain mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Unknown,
    Silent,
    Tells,
}

#[derive(Debug)]
struct Inner {
    habit: Habit,
    /// Everything mapped, by offset in the region.
    live: BTreeMap<u64, Piece>,
    /// What the frontend's last table contains.
    told: HashSet<Piece>,
    /// What the guest may not see yet, and until when that is believed.
    unseen: BTreeMap<u64, Instant>,
}

/// What the guest can see of the shared memory region.
pub(super) struct Sight {
    inner: Mutex<Inner>,
    /// Number of unseen mappings, to be asked without the lock.
    unseen: AtomicUsize,
    timer: Mutex<TimerFd>,
    patience: Duration,
}

impl Sight {
    /// Nothing is mapped, and nothing known of the frontend.
    ///
    /// # Errors
    /// No descriptors left.
    pub(super) fn new() -> io::Result<Self> {
        Self::with_patience(PATIENCE)
    }

    fn with_patience(patience: Duration) -> io::Result<Self> {
        Ok(Sight {
            inner: Mutex::new(Inner {
                habit: Habit::Unknown,
                live: BTreeMap::new(),
                told: HashSet::new(),
                unseen: BTreeMap::new(),
            }),
            unseen: AtomicUsize::new(0),
            timer: Mutex::new(TimerFd::new()?),
            patience,
        })
    }

    /// Readable when [`Sight::expire`] is to be called.
    pub(super) fn with_timer<T>(&self, look: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        look(crate::core::borrow(&*lock(&self.timer)))
    }

    /// Whether it is still to be found out what this frontend does.
    pub(super) fn is_unknown(&self) -> bool {
        lock(&self.inner).habit == Habit::Unknown
    }

    /// A page was mapped and unmapped: whoever tells has told.
    pub(super) fn found_out(&self) {
        let mut inner = lock(&self.inner);
        if inner.habit == Habit::Unknown {
            inner.habit = Habit::Silent;
        }
        tracing::debug!(habit = ?inner.habit, "what the frontend says of mappings");
    }

    /// Whether one more mapping would be one too many.
    pub(super) fn is_full(&self) -> bool {
        let inner = lock(&self.inner);
        inner.habit == Habit::Tells && inner.live.len() >= MAX_TOLD
    }

    /// The frontend says that it has mapped `piece` at `offset`.
    pub(super) fn mapped(&self, offset: u64, piece: Piece) {
        let mut inner = lock(&self.inner);
        inner.live.insert(offset, piece);
        if inner.told.contains(&piece) {
            inner.habit = Habit::Tells;
        } else if inner.habit == Habit::Tells {
            inner.unseen.insert(offset, Instant::now() + self.patience);
            self.unseen_changed(&inner);
        }
    }

    /// What was mapped at `offset` is not any more.
    pub(super) fn unmapped(&self, offset: u64) {
        let mut inner = lock(&self.inner);
        inner.live.remove(&offset);
        if inner.unseen.remove(&offset).is_some() {
            self.unseen_changed(&inner);
        }
    }

    /// The frontend has sent a table. True: somebody was waiting for it.
    pub(super) fn table(&self, told: HashSet<Piece>) -> bool {
        let mut inner = lock(&self.inner);
        inner.told = told;
        if inner.habit != Habit::Tells {
            let tells = inner.live.values().any(|piece| inner.told.contains(piece));
            if tells {
                inner.habit = Habit::Tells;
            }
            return false;
        }
        let before = inner.unseen.len();
        let Inner {
            live, told, unseen, ..
        } = &mut *inner;
        unseen.retain(|offset, _| live.get(offset).is_some_and(|piece| !told.contains(piece)));
        let changed = inner.unseen.len() < before;
        if changed {
            self.unseen_changed(&inner);
        }
        changed
    }

    /// Whether the guest sees what is mapped at `offset`.
    pub(super) fn is_visible(&self, offset: u64) -> bool {
        // The worker maps and asks, so the count is never too low for it.
        self.unseen.load(Ordering::Acquire) == 0 || !lock(&self.inner).unseen.contains_key(&offset)
    }

    /// Gives up what has waited for too long.
    pub(super) fn expire(&self) {
        let mut inner = lock(&self.inner);
        let now = Instant::now();
        let late = inner.unseen.values().any(|until| *until <= now);
        if late {
            tracing::warn!("the frontend does not tell of new mappings any more");
            inner.habit = Habit::Silent;
            inner.unseen.clear();
        }
        self.unseen_changed(&inner);
    }

    fn unseen_changed(&self, inner: &Inner) {
        self.unseen.store(inner.unseen.len(), Ordering::Release);
        let mut timer = lock(&self.timer);
        // Setting the timer also makes it unreadable.
        let set = match inner.unseen.values().min() {
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                timer.reset(left.max(Duration::from_millis(1)), None)
            }
            None => timer.clear(),
        };
        if let Err(error) = set {
            tracing::error!(%error, "cannot set a timer");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
