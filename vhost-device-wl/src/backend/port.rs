//! The way to the frontend that maps memory for the guest.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::sys::stat::fstat;
use vhost::vhost_user::message::{VhostUserMMap, VhostUserMMapFlags};
use vhost::vhost_user::{Backend as FrontendChannel, VhostUserFrontendReqHandler};
use virtio_wl::limits::{PAGE_SIZE, SHMEM_REGION_ID, SHMEM_REGION_SIZE};

use super::sight::Sight;
use super::table::Piece;
use crate::core::memory::{MemoryPort, create_sealed};

/// Where the page is mapped that shows what a frontend does. Nothing else is there then: the
/// region is filled from its start, and no memory is as long as the region.
const PROBE: u64 = SHMEM_REGION_SIZE - PAGE_SIZE;

/// The way to the frontend that maps memory for the guest.
pub struct FrontendPort {
    channel: Mutex<Option<FrontendChannel>>,
    /// The driver understands offsets in the shared memory region. To one that wants
    /// absolute addresses nothing can be mapped: only the VMM knows where the region is.
    usable: AtomicBool,
    sight: Sight,
}

impl fmt::Debug for FrontendPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontendPort").finish_non_exhaustive()
    }
}

impl FrontendPort {
    /// A port that leads nowhere yet.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn new() -> io::Result<Self> {
        Ok(FrontendPort {
            channel: Mutex::default(),
            usable: AtomicBool::new(false),
            sight: Sight::new()?,
        })
    }

    pub(super) fn set_channel(&self, channel: FrontendChannel) {
        let mut slot = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(channel);
    }

    pub(super) fn set_usable(&self, usable: bool) {
        self.usable.store(usable, Ordering::Release);
    }

    /// The frontend has sent its table of memory. True: somebody was waiting for it.
    pub(super) fn table(&self, pieces: HashSet<Piece>) -> bool {
        self.sight.table(pieces)
    }

    /// Readable when [`FrontendPort::expire`] is to be called.
    pub(super) fn with_timer<T>(&self, look: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        self.sight.with_timer(look)
    }

    /// Waits no longer for tables that should have come.
    pub(super) fn expire(&self) {
        self.sight.expire();
    }

    fn channel(&self) -> io::Result<FrontendChannel> {
        // Cloned out: the requests may wait for the frontend for long.
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        channel
            .clone()
            .ok_or_else(|| io::Error::other("the frontend has opened no channel for requests"))
    }

    fn map_now(
        &self,
        channel: &FrontendChannel,
        fd: BorrowedFd<'_>,
        offset: u64,
        len: u64,
    ) -> io::Result<()> {
        let piece = Piece::new(&fstat(fd)?, len);
        let request = area(offset, len, VhostUserMMapFlags::WRITABLE);
        channel.shmem_map(&request, &fd.as_raw_fd())?;
        self.sight.mapped(offset, piece);
        Ok(())
    }

    fn unmap_now(&self, channel: &FrontendChannel, offset: u64, len: u64) -> io::Result<()> {
        let request = area(offset, len, VhostUserMMapFlags::empty());
        let result = channel.shmem_unmap(&request).map(drop);
        // Afterwards: the frontend may tell of the mapping until it has answered.
        self.sight.unmapped(offset);
        result
    }

    /// Finds out whether the frontend tells of mappings.
    fn probe(&self, channel: &FrontendChannel) -> io::Result<()> {
        let page = create_sealed(PAGE_SIZE).map_err(io::Error::other)?;
        self.map_now(channel, page.as_fd(), PROBE, PAGE_SIZE)?;
        self.unmap_now(channel, PROBE, PAGE_SIZE)?;
        self.sight.found_out();
        Ok(())
    }
}

impl MemoryPort for FrontendPort {
    fn map(&self, fd: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
        if !self.usable.load(Ordering::Acquire) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if self.sight.is_full() {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let channel = self.channel()?;
        if self.sight.is_unknown() {
            self.probe(&channel)?;
        }
        self.map_now(&channel, fd, offset, len)
    }

    fn unmap(&self, offset: u64, len: u64) -> io::Result<()> {
        self.unmap_now(&self.channel()?, offset, len)
    }

    fn is_visible(&self, offset: u64) -> bool {
        self.sight.is_visible(offset)
    }
}

fn area(offset: u64, len: u64, flags: VhostUserMMapFlags) -> VhostUserMMap {
    VhostUserMMap {
        shmid: SHMEM_REGION_ID,
        shm_offset: offset,
        len,
        flags: flags.bits(),
        ..VhostUserMMap::default()
    }
}
