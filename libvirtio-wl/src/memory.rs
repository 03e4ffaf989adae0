//! Shared memory.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use crate::{handle::OwnedVfd, mapping::Mapping};

/// Shared memory: a VFD that can be mapped and sent.
///
/// Map it shared and from offset 0, with [`map`](Self::map) or mmap(2) on its descriptor. What the
/// guest kernel's driver hands out is no ordinary file: it cannot be resized, read or written, its
/// mappings cannot grow, and only offset 0 may be mapped. Code that must run in a VM keeps to that
/// with the embedded driver too.
///
/// The guest gives the memory back when this value, the last duplicate of its descriptor and the
/// last mapping are gone.
#[derive(Debug)]
pub struct Memory {
    vfd: OwnedVfd,
    size: u64,
}

impl Memory {
    pub(crate) fn new(vfd: OwnedVfd, size: u64) -> Self {
        Self { vfd, size }
    }

    /// Size in bytes as far as known. It changes only by [`refresh`](Self::refresh), and need not be
    /// a multiple of the page size when the memory was received; mapping up to the end of the last
    /// page is possible.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Asks whether a peer has made memory larger that it had sent; returns the size now.
    ///
    /// Programs do that with a `wl_shm` pool: they make its file longer, and say so. The size is then in
    /// whole pages, what lies behind the last of them cannot be seen. Memory that this guest
    /// allocated, and what the host has copied for it (sealed files, such as keymaps), never grows.
    ///
    /// Mappings stay as they are and stay valid; [`map`](Self::map) anew to see all. Other values
    /// for the same memory keep their size until they ask too.
    ///
    /// # Errors
    ///
    /// The size stays as it was.
    ///
    /// * `EOPNOTSUPP`: the device or the guest's driver cannot tell. They are not of this project,
    ///   or too old.
    /// * `ENOMEM`: it has grown, but too often (more than [`MAX_GROWTHS`] times), or there is no room
    ///   for more of it in the shared memory region.
    /// * `ENODEV`: the device is gone.
    ///
    /// [`MAX_GROWTHS`]: crate::limits::MAX_GROWTHS
    pub fn refresh(&mut self) -> io::Result<u64> {
        let size = self.vfd.driver().refresh(self.vfd.as_fd())?;
        // Never less: two askers may hear in another order than they asked.
        self.size = self.size.max(size);
        Ok(self.size)
    }

    /// Maps all of it for reading and writing.
    ///
    /// Memory received from a peer may be read-only on the host, where this guest's writes are then
    /// lost or worse: write only to memory that this process allocated or whose protocol says so.
    ///
    /// # Errors
    ///
    /// The errno of mmap(2).
    pub fn map(&self) -> io::Result<Mapping> {
        let len = usize::try_from(self.size)
            .map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
        Mapping::new(self.as_fd(), len)
    }

    /// The bare VFD.
    pub fn into_fd(self) -> OwnedFd {
        self.vfd.into_fd()
    }
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.vfd.as_fd()
    }
}

impl From<Memory> for OwnedFd {
    fn from(memory: Memory) -> Self {
        memory.into_fd()
    }
}
