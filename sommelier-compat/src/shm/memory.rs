//! Memory that can be given to the host.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use memfd::{FileSeal, MemfdOptions};

use crate::sys::Mapping;

/// Where shared memory comes from.
pub trait Allocator: fmt::Debug {
    /// Allocates at least `len` bytes, zeroed.
    ///
    /// # Errors
    /// Whatever the source of the memory says, e.g. that its quota is used up.
    fn allocate(&self, len: usize) -> io::Result<SharedMemory>;
}

/// Something with a descriptor.
pub trait Descriptor: AsFd + fmt::Debug {}

impl<T: AsFd + fmt::Debug> Descriptor for T {}

/// Memory to be filled by the relay and read by the host.
#[derive(Debug)]
pub struct SharedMemory {
    /// Kept open: an open descriptor is what identifies memory of a device.
    fd: Box<dyn Descriptor>,
    /// What the relay writes to.
    pub map: Mapping,
    /// Usable bytes.
    pub len: usize,
}

impl SharedMemory {
    /// Maps `len` bytes of `fd`.
    ///
    /// # Errors
    /// Whatever `mmap` gives.
    pub fn new(fd: impl Descriptor + 'static, len: usize) -> io::Result<Self> {
        let map = Mapping::writable(&fd, len)?;
        Ok(Self {
            fd: Box::new(fd),
            map,
            len,
        })
    }
}

impl AsFd for SharedMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Ordinary memory, for a compositor on the same kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemfdAllocator;

impl Allocator for MemfdAllocator {
    fn allocate(&self, len: usize) -> io::Result<SharedMemory> {
        let file = sealable("sommelier-shm")?;
        file.set_len(len as u64)?;
        let memfd = memfd::Memfd::try_from_file(file).map_err(|_| io::ErrorKind::Unsupported)?;
        memfd
            .add_seals(&[FileSeal::SealShrink, FileSeal::SealGrow, FileSeal::SealSeal])
            .map_err(io::Error::other)?;
        SharedMemory::new(memfd.into_file(), len)
    }
}

/// An ordinary descriptor with the content of `memory`, for a client.
///
/// Received memory is always copied, whatever the driver: the kernel driver's
/// descriptors can neither be measured (`fstat`) nor mapped at an offset nor
/// privately by every client, and in either driver the host could change the
/// content under the client. What a compositor sends is a snapshot (a keymap),
/// so a copy loses nothing.
///
/// # Errors
/// Whatever mapping, allocating and writing give.
pub fn snapshot(memory: impl AsFd, len: usize) -> io::Result<OwnedFd> {
    let file = sealable("sommelier-copy")?;
    Mapping::readable(memory, len)?.write_to(&file)?;
    let memfd = memfd::Memfd::try_from_file(file).map_err(|_| io::ErrorKind::Unsupported)?;
    memfd
        .add_seals(&[
            FileSeal::SealShrink,
            FileSeal::SealGrow,
            FileSeal::SealWrite,
            FileSeal::SealSeal,
        ])
        .map_err(io::Error::other)?;
    Ok(memfd.into_file().into())
}

fn sealable(name: &str) -> io::Result<File> {
    let memfd = MemfdOptions::new()
        .close_on_exec(true)
        .allow_sealing(true)
        .create(name);
    memfd
        .map(memfd::Memfd::into_file)
        .map_err(|error| match error {
            memfd::Error::Create(source) => source,
            other => io::Error::other(other),
        })
}

#[cfg(test)]
mod tests;
