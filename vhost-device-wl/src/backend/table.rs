//! The frontend's table of guest memory.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::sys::stat::{FileStat, fstat};
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion, GuestRegionMmap};

use crate::core::memory::cannot_shrink;
use crate::virtio::ring::Memory;

/// The first bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Piece {
    device: u64,
    inode: u64,
    len: u64,
}

impl Piece {
    /// The first `len` bytes of the file that `stat` is about.
    pub(super) fn new(stat: &FileStat, len: u64) -> Self {
        Piece {
            device: stat.st_dev,
            inode: stat.st_ino,
            len,
        }
    }
}

/// Guest memory, checked.
#[derive(Default)]
pub(super) struct Table {
    memory: Option<Arc<Memory>>,
    /// What its regions are, by where this process has them mapped. A frontend that reports
    /// mappings sends a table for each of them, so that what is known must not be asked again.
    regions: HashMap<usize, Piece>,
}

impl Table {
    /// Guest memory as it is now.
    pub(super) fn memory(&self) -> Option<Arc<Memory>> {
        self.memory.clone()
    }

    /// Takes a new table, and says what is in it.
    ///
    /// # Errors
    /// It has memory that must not be touched; the old table stays.
    pub(super) fn replace(&mut self, memory: Arc<Memory>) -> io::Result<HashSet<Piece>> {
        // The old regions are still mapped here, so that no new one is at the same address.
        let regions = memory.iter().map(|region| {
            let at = region.as_ptr().addr();
            let known = self.regions.get(&at).copied();
            Ok((at, known.map_or_else(|| check(region), Ok)?))
        });
        self.regions = regions.collect::<io::Result<_>>()?;
        self.memory = Some(memory);
        Ok(self.regions.values().copied().collect())
    }
}

/// An access to memory that its owner has cut off kills the process, and with it
/// the devices of all frontends: memory that can shrink is not accepted.
fn check(region: &GuestRegionMmap<()>) -> io::Result<Piece> {
    let refuse = |why: &str| {
        tracing::error!("guest memory refused: {why}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()))
    };
    let Some(file) = region.file_offset() else {
        return refuse("it is not a file");
    };
    if !cannot_shrink(file.file().as_fd()) {
        return refuse(
            "it can shrink; use a memfd sealed with F_SEAL_SHRINK (QEMU: memory-backend-memfd, seal=on)",
        );
    }
    let stat = fstat(file.file())?;
    let end = file.start().checked_add(region.len());
    if end.is_none_or(|end| u64::try_from(stat.st_size).map_or(true, |size| size < end)) {
        return refuse("it ends behind the end of its file");
    }
    Ok(Piece::new(&stat, region.len()))
}
