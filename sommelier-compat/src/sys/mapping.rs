//! Shared mappings, and system calls that read and write them.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// A shared mapping that other processes and other machines may change at any
/// time. It is therefore never seen as a slice: bytes go in and out by system
/// call or by raw copy only.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<libc::c_void>,
    len: NonZeroUsize,
}

impl Mapping {
    /// Maps the first `len` bytes of `memory`, to be written.
    ///
    /// The offset is always 0: the kernel driver checks the offset of a mapping
    /// but does not apply it.
    ///
    /// # Errors
    /// `EINVAL` for an empty mapping, and whatever `mmap` gives.
    pub fn writable(memory: impl AsFd, len: usize) -> io::Result<Self> {
        Self::map(
            memory.as_fd(),
            len,
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        )
    }

    /// Maps the first `len` bytes of `memory`, to be read.
    ///
    /// # Errors
    /// Like [`writable`](Self::writable).
    pub fn readable(memory: impl AsFd, len: usize) -> io::Result<Self> {
        Self::map(memory.as_fd(), len, ProtFlags::PROT_READ)
    }

    fn map(memory: BorrowedFd<'_>, len: usize, prot: ProtFlags) -> io::Result<Self> {
        let len = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no
        // existing memory, and nobody gets a reference into it.
        let start = unsafe { mmap(None, len, prot, MapFlags::MAP_SHARED, memory, 0) }?;
        Ok(Self { start, len })
    }

    /// Reads `len` bytes of `file` from `offset` into the mapping at `at`.
    ///
    /// Returns a short count at the end of the file. Neither a truncated file
    /// nor a truncated mapping raises a signal: the kernel does the access, and
    /// a fault there is an errno.
    ///
    /// # Errors
    /// `EINVAL` outside the mapping, and whatever `pread` gives.
    pub fn read_from(
        &self,
        at: usize,
        len: usize,
        file: BorrowedFd<'_>,
        offset: u64,
    ) -> io::Result<usize> {
        if at.checked_add(len).is_none_or(|end| end > self.len.get()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut done = 0;
        while done < len {
            let position = i64::try_from(offset + done as u64)
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            // SAFETY: `at + len` is within the mapping, which lives as long as
            // `self`; no reference to its bytes exists.
            let got = unsafe {
                let target = self.start.as_ptr().byte_add(at + done);
                libc::pread(file.as_raw_fd(), target, len - done, position)
            };
            match usize::try_from(got) {
                Ok(0) => break,
                Ok(got) => done += got,
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
        Ok(done)
    }

    /// Writes `len` zero bytes at `at`, for the part of a page behind the end
    /// of a client's file.
    ///
    /// # Panics
    /// If that is outside the mapping.
    pub fn zero(&self, at: usize, len: usize) {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len.get()));
        // SAFETY: within the mapping (checked), to which no reference exists.
        unsafe {
            self.start
                .as_ptr()
                .byte_add(at)
                .cast::<u8>()
                .write_bytes(0, len)
        }
    }

    /// Copies by `memcpy`, to be compared with [`read_from`](Self::read_from).
    #[cfg(test)]
    pub fn copy_from(&self, source: &Self, len: usize) {
        assert!(len <= self.len.get() && len <= source.len.get());
        // SAFETY: both within their mappings (checked), which do not overlap.
        unsafe {
            self.start
                .as_ptr()
                .cast::<u8>()
                .copy_from(source.start.as_ptr().cast(), len)
        }
    }

    /// Writes the whole mapping to `file` from its current position.
    ///
    /// # Errors
    /// Whatever `write` gives; `EFAULT` when the memory is gone.
    pub fn write_to(&self, file: impl AsFd) -> io::Result<()> {
        let mut done = 0;
        while done < self.len.get() {
            // SAFETY: within the mapping; the kernel reads it, as in
            // `read_from`.
            let wrote = unsafe {
                let source = self.start.as_ptr().byte_add(done);
                libc::write(file.as_fd().as_raw_fd(), source, self.len.get() - done)
            };
            match usize::try_from(wrote) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(wrote) => done += wrote,
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped, and nobody refers to it any more.
        if let Err(errno) = unsafe { munmap(self.start, self.len.get()) } {
            tracing::error!(%errno, "cannot unmap shared memory");
        }
    }
}
