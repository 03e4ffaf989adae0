//! Which addresses are mappings of which VFDs.

use std::{
    collections::BTreeMap,
    ffi::c_int,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use libc::off_t;

static RANGES: Mutex<Ranges> = Mutex::new(Ranges::new());

/// Whether there was ever one to remember: programs without any never take the lock.
static USED: AtomicBool = AtomicBool::new(false);

/// One mapping.
#[derive(Clone, Debug)]
pub(super) struct Mapped {
    /// In bytes, whole pages.
    pub(super) len: usize,
    pub(super) prot: c_int,
    pub(super) flags: c_int,
    pub(super) fd: Arc<OwnedFd>,
    pub(super) offset: off_t,
}

impl Mapped {
    /// What is left of it from `skip` bytes on.
    fn behind(&self, skip: usize) -> Self {
        Self {
            len: self.len - skip,
            offset: self.offset + off_t::try_from(skip).unwrap_or(off_t::MAX),
            ..self.clone()
        }
    }
}

/// Mappings by their first address. They never overlap.
#[derive(Debug)]
pub(super) struct Ranges {
    by_start: BTreeMap<usize, Mapped>,
}

/// Whether nothing has ever been remembered.
pub(super) fn none() -> bool {
    !USED.load(Ordering::Acquire)
}

pub(super) fn lock() -> MutexGuard<'static, Ranges> {
    RANGES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ranges {
    pub(super) const fn new() -> Self {
        Self {
            by_start: BTreeMap::new(),
        }
    }

    /// Remembers a mapping, which has replaced what was there.
    pub(super) fn insert(&mut self, start: usize, mapped: Mapped) {
        self.remove(start, mapped.len);
        self.by_start.insert(start, mapped);
        USED.store(true, Ordering::Release);
    }

    /// The whole mapping of that place and length.
    pub(super) fn get(&self, start: usize, len: usize) -> Option<Mapped> {
        self.by_start
            .get(&start)
            .filter(|mapped| mapped.len == len)
            .cloned()
    }

    /// Forgets what is in a range; mappings that reach out of it keep the rest.
    pub(super) fn remove(&mut self, start: usize, len: usize) {
        let end = start.saturating_add(len);
        let reaches_in = |hit: &(&usize, &Mapped)| hit.0 + hit.1.len > start;
        let hit: Vec<usize> = self
            .by_start
            .range(..end)
            .rev()
            .take_while(reaches_in)
            .map(|(&at, _)| at)
            .collect();
        for at in hit {
            let Some(mapped) = self.by_start.remove(&at) else {
                continue;
            };
            if at + mapped.len > end {
                self.by_start.insert(end, mapped.behind(end - at));
            }
            if at < start {
                let len = start - at;
                self.by_start.insert(at, Mapped { len, ..mapped });
            }
        }
    }

    /// The kernel has moved a mapping, or made it shorter or longer, by itself.
    pub(super) fn moved(&mut self, old: usize, old_len: usize, new: usize, new_len: usize) {
        let mapped = self.by_start.get(&old).cloned();
        self.remove(old, old_len);
        self.remove(new, new_len);
        if let Some(mapped) = mapped {
            let len = new_len;
            self.by_start.insert(new, Mapped { len, ..mapped });
        }
    }
}
