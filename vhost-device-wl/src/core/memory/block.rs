//! One piece of memory, and where the guest sees it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::fcntl::{FallocateFlags, fallocate};

/// Memory of a VFD.
#[derive(Debug)]
pub struct Block {
    pub(super) fd: Arc<OwnedFd>,
    pub(super) size: u64,
    pub(super) len: u64,
    pub(super) offset: Option<u64>,
    /// A peer may hold it, or did give it to us: its pages are not ours to reuse.
    pub(super) shared: bool,
    /// Identity of a peer's file, whose mapping serves all VFDs of it.
    pub(super) file: Option<FileId>,
    /// Where the guest saw it before the file grew; it may still look there.
    pub(super) older: Vec<Place>,
}

/// A range of the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// Device and inode number.
pub(super) type FileId = (u64, u64);

impl Block {
    /// The file.
    #[must_use]
    pub fn fd(&self) -> &Arc<OwnedFd> {
        &self.fd
    }

    /// Exact size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where the guest sees it in the region; `None` when it does not.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.offset
    }

    /// The file to pass on; from now on others may hold it.
    pub fn share(&mut self) -> Arc<OwnedFd> {
        self.shared = true;
        Arc::clone(&self.fd)
    }
}

/// Gives the pages of a block back; the next user finds zeros.
pub(super) fn clear(block: &Block) -> bool {
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    i64::try_from(block.len).is_ok_and(|len| fallocate(&block.fd, flags, 0, len).is_ok())
}
