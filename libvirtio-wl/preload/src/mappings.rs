//! Mappings of shared memory of other VMs, which may have to grow.
//!
//! `wl_shm_pool.resize` is mremap(2) in libwayland, which has long closed the pool's descriptor. So a
//! duplicate of the descriptor is kept with each such mapping, for two reasons:
//!
//! * A mapping must not become longer than its memory. libwayland believes that memory that cannot
//!   shrink, as memory from the device cannot, never raises `SIGBUS`, and does not look again when a
//!   pool grows.
//! * The driver of a VM's kernel maps memory of the device, and such a mapping never grows: `EFAULT`. A
//!   longer one is made of the descriptor, and the old one goes. Both show the same memory, so that
//!   nothing is copied.
//!
//! Nothing is kept, and no lock taken, for anonymous memory: a server's handler of `SIGBUS` maps it.
#![allow(unsafe_code)]

use std::{
    ffi::{c_int, c_void},
    io, mem,
    os::fd::{AsRawFd, OwnedFd},
    ptr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use libc::{off64_t, stat64};
use virtio_wl::{Vfd, limits};

use crate::real;

/// Whether mappings are to be looked at: the device is open.
static WATCHING: AtomicBool = AtomicBool::new(false);

/// How many mappings the table has.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The unit of the device's memory, which no page of a kernel is smaller than.
const PAGE: i64 = limits::PAGE_SIZE.cast_signed();

static TABLE: Mutex<Table> = Mutex::new(Table { mapped: Vec::new() });

/// From now on there may be memory of other VMs.
pub(crate) fn watch() {
    WATCHING.store(true, Ordering::Relaxed);
}

/// Whether a mapping may be of memory of another VM.
pub(crate) fn watching() -> bool {
    WATCHING.load(Ordering::Relaxed)
}

/// Whether any mapping is known.
pub(crate) fn any() -> bool {
    COUNT.load(Ordering::Relaxed) != 0
}

/// Runs a call that changes mappings, with the table, which it brings up to date.
///
/// Never inside of a signal handler that has interrupted another such call: see
/// [`boundary::enter`](crate::boundary::enter).
pub(crate) fn change<T>(call: impl FnOnce(&mut Table) -> T) -> T {
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let result = call(&mut table);
    COUNT.store(table.mapped.len(), Ordering::Relaxed);
    result
}

/// All that is known, in no order.
#[derive(Debug, Default)]
pub(crate) struct Table {
    mapped: Vec<Mapped>,
}

/// How something is mapped.
#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    /// First address.
    pub(crate) start: usize,
    /// Bytes.
    pub(crate) len: usize,
    pub(crate) prot: c_int,
    pub(crate) flags: c_int,
    pub(crate) offset: off64_t,
    /// A duplicate of what it is of.
    pub(crate) memory: Arc<OwnedFd>,
}

impl Mapped {
    fn end(&self) -> usize {
        self.start.saturating_add(self.len)
    }

    /// What is left of it outside of some addresses.
    fn without(self, start: usize, end: usize) -> impl Iterator<Item = Self> {
        let left = (self.start < start).then(|| Self {
            len: start.min(self.end()) - self.start,
            ..self.clone()
        });
        let right = (self.end() > end).then(|| {
            let skipped = end.max(self.start) - self.start;
            Self {
                start: self.start + skipped,
                len: self.len - skipped,
                offset: self
                    .offset
                    .saturating_add(off64_t::try_from(skipped).unwrap_or(off64_t::MAX)),
                ..self
            }
        });
        left.into_iter().chain(right)
    }
}

impl Table {
    /// Something has been mapped.
    pub(crate) fn insert(&mut self, mapped: Mapped) {
        self.mapped.push(mapped);
    }

    /// These addresses are of something else now.
    pub(crate) fn remove(&mut self, start: usize, len: usize) {
        let end = start.saturating_add(len);
        let (touched, apart): (Vec<_>, Vec<_>) = self
            .mapped
            .drain(..)
            .partition(|mapped| mapped.start < end && start < mapped.end());
        self.mapped = apart;
        let rest = touched.into_iter();
        self.mapped
            .extend(rest.flat_map(|mapped| mapped.without(start, end)));
    }

    /// The kernel has moved or cut a mapping.
    pub(crate) fn moved(&mut self, old: (usize, usize), new: (usize, usize)) {
        let known = self.at(old.0).cloned();
        self.remove(old.0, old.1);
        self.remove(new.0, new.1);
        if let Some(known) = known {
            self.insert(Mapped {
                start: new.0,
                len: new.1,
                ..known
            });
        }
    }

    /// Whether a mapping may become so long: `false` when it would be longer than its memory, also
    /// after the device was asked for its size.
    pub(crate) fn may_grow(&self, start: usize, new_len: usize) -> bool {
        self.at(start).is_none_or(|known| {
            known.is_as_long(new_len) || (refresh(known).is_ok() && known.is_as_long(new_len))
        })
    }

    /// Does what mremap(2) could not do: a mapping at `start` becomes `new_len` long, somewhere else.
    /// `None` when nothing is known of it, or the kernel does not want that either.
    pub(crate) fn grow(&mut self, start: usize, len: usize, new_len: usize) -> Option<*mut c_void> {
        let known = self.at(start).filter(|known| known.len >= len)?.clone();
        let place = known.map(new_len)?;
        // SAFETY: the caller gives up the old mapping, as with mremap(2).
        let unmapped = unsafe { real::munmap(ptr::with_exposed_provenance_mut(start), len) };
        if unmapped == 0 {
            self.remove(start, len);
        }
        self.insert(Mapped {
            start: place.expose_provenance(),
            len: new_len,
            ..known
        });
        Some(place)
    }

    fn at(&self, start: usize) -> Option<&Mapped> {
        self.mapped.iter().find(|mapped| mapped.start == start)
    }
}

impl Mapped {
    /// Whether its memory is as long as a mapping of `len` bytes; yes when nobody can tell.
    fn is_as_long(&self, len: usize) -> bool {
        // SAFETY: all zero is a valid value of it.
        let mut stat: stat64 = unsafe { mem::zeroed() };
        // SAFETY: room for what is asked.
        if unsafe { real::fstat64(self.memory.as_raw_fd(), &raw mut stat) } != 0 {
            return true;
        }
        match stat.st_size {
            // What drivers other than ours say of all VFDs; they check the length of mappings.
            0 => true,
            // Up to the end of the last page nothing is amiss.
            size => i64::try_from(len).is_ok_and(|len| {
                let end = self.offset.saturating_add(len);
                end <= size.saturating_add(PAGE - 1) / PAGE * PAGE
            }),
        }
    }

    /// The same memory mapped once more, `len` bytes long.
    fn map(&self, len: usize) -> Option<*mut c_void> {
        let flags = self.flags & !(libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE);
        let memory = self.memory.as_raw_fd();
        // SAFETY: the kernel chooses the place.
        let place =
            unsafe { real::mmap64(ptr::null_mut(), len, self.prot, flags, memory, self.offset) };
        (place != libc::MAP_FAILED).then_some(place)
    }
}

/// Asks the device whether the memory's owner has made it longer.
fn refresh(known: &Mapped) -> io::Result<()> {
    let device = virtio_wl_posix::device().map_err(io::Error::from)?;
    if let Vfd::Memory(mut memory) = device.vfd_from_fd(known.memory.try_clone()?)? {
        let size = memory.refresh()?;
        tracing::debug!(size, "memory was asked for its size");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
