//! Mapped shared memory.
#![allow(unsafe_code)]

use std::{
    io,
    num::NonZeroUsize,
    os::fd::BorrowedFd,
    ptr::{self, NonNull},
};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// Shared memory in this process's address space.
///
/// Others can change it at any time, so there is no way to get a slice of it: bytes are copied in
/// and out.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and the only accesses are copies of
// bytes that others may change at the same time anyway.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes from the start of `fd`, shared, for reading and writing.
    pub(crate) fn new(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        let length =
            NonZeroUsize::new(len).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        // SAFETY: the kernel chooses the place, so no existing mapping is touched; nobody but this
        // value knows the address.
        let address = unsafe {
            mmap(
                None,
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                fd,
                0,
            )
        }?;
        Ok(Self {
            address: address.cast(),
            len,
        })
    }

    /// Bytes mapped.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Always false: there are no mappings of nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it lies, for code that handles shared memory itself; valid until this value is dropped.
    pub fn as_ptr(&self) -> NonNull<u8> {
        self.address
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    ///
    /// `EINVAL` when they reach beyond the end; nothing is copied then.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let to = self.range(offset, bytes.len())?;
        // SAFETY: `range` has checked that the bytes lie in the mapping, and `bytes` is memory of
        // this process that cannot overlap it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
        Ok(())
    }

    /// Copies from `offset` into `bytes`.
    ///
    /// # Errors
    ///
    /// `EINVAL` when they reach beyond the end; nothing is copied then.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> io::Result<()> {
        let from = self.range(offset, bytes.len())?;
        // SAFETY: as in `write`.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn range(&self, offset: usize, len: usize) -> io::Result<NonNull<u8>> {
        match offset.checked_add(len) {
            // SAFETY: the offset is within the mapping or at its end.
            Some(end) if end <= self.len => Ok(unsafe { self.address.add(offset) }),
            _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped, and no reference into it exists.
        let result = unsafe { munmap(self.address.cast(), self.len) };
        debug_assert!(result.is_ok());
    }
}
