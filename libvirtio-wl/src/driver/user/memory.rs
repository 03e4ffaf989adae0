//! Guest memory: one sealed file, mapped here and in the device.
//!
//! It holds the virtqueues and their buffers and nothing else: the device never sees the heap of
//! this process. Everything in it can change at any time, so it is only read by copying.

use std::{
    io,
    sync::atomic::{AtomicU16, Ordering},
};

use memfd::{FileSeal, MemfdOptions};
use vhost::VhostUserMemoryRegionInfo;
use vm_memory::{FileOffset, GuestAddress, GuestRegionMmap, VolatileMemory, VolatileSlice};

/// Guest-physical address of the first byte, so that addresses are offsets in the file.
const BASE: GuestAddress = GuestAddress(0);

/// Memory shared with the device.
#[derive(Debug)]
pub(super) struct GuestMemory {
    region: GuestRegionMmap<()>,
}

impl GuestMemory {
    /// Allocates `size` zeroed bytes.
    ///
    /// The file is sealed against shrinking, growing and further sealing: a device refuses memory
    /// that can shrink, because touching what is gone would kill it.
    pub(super) fn new(size: usize) -> io::Result<Self> {
        let file = MemfdOptions::default()
            .allow_sealing(true)
            .close_on_exec(true)
            .create("virtio-wl-guest")
            .map_err(io::Error::other)?;
        file.as_file().set_len(size as u64)?;
        file.add_seals(&[FileSeal::SealShrink, FileSeal::SealGrow, FileSeal::SealSeal])
            .map_err(io::Error::other)?;
        let region =
            GuestRegionMmap::from_range(BASE, size, Some(FileOffset::new(file.into_file(), 0)))
                .map_err(io::Error::other)?;
        Ok(Self { region })
    }

    /// What the device is told of the memory.
    pub(super) fn describe(&self) -> io::Result<VhostUserMemoryRegionInfo> {
        VhostUserMemoryRegionInfo::from_guest_region(&self.region).map_err(io::Error::other)
    }

    /// Address in this process of a guest address; vhost-user names rings that way.
    pub(super) fn user_address(&self, guest: u32) -> u64 {
        // Only a number: nothing here or in the device dereferences it as a pointer.
        self.region.as_ptr() as u64 + u64::from(guest)
    }

    /// Reads a ring index or event word, after which everything written before it can be read.
    pub(super) fn load(&self, address: u32) -> u16 {
        u16::from_le(self.word(address).load(Ordering::Acquire))
    }

    /// Writes a ring index or event word, after everything written before.
    pub(super) fn store(&self, address: u32, value: u16) {
        self.word(address).store(value.to_le(), Ordering::Release);
    }

    /// Copies `bytes` to `address`.
    pub(super) fn write(&self, address: u32, bytes: &[u8]) {
        self.slice(address, bytes.len()).copy_from(bytes);
    }

    /// Copies from `address` until `bytes` is full.
    pub(super) fn read(&self, address: u32, bytes: &mut [u8]) {
        self.slice(address, bytes.len()).copy_to(bytes);
    }

    /// Panics when the range is not in the memory. Every address comes from [`super::layout`], whose
    /// ranges are asserted at compile time; none comes from the device.
    fn slice(&self, address: u32, len: usize) -> VolatileSlice<'_, ()> {
        VolatileMemory::get_slice(&*self.region, address as usize, len)
            .expect("the layout lies inside guest memory")
    }

    /// Panics as [`slice`](Self::slice) does; every ring word is aligned by the layout.
    fn word(&self, address: u32) -> &AtomicU16 {
        self.region
            .get_atomic_ref(address as usize)
            .expect("ring words lie aligned inside guest memory")
    }
}

#[cfg(test)]
mod tests {
    use nix::{errno::Errno, unistd::ftruncate};

    use super::*;

    #[test]
    fn memory_cannot_shrink_or_grow() {
        let memory = GuestMemory::new(8192).unwrap();
        let file = memory.region.file_offset().unwrap().file();
        assert_eq!(ftruncate(file, 4096), Err(Errno::EPERM));
        assert_eq!(ftruncate(file, 16384), Err(Errno::EPERM));
    }

    #[test]
    fn words_are_little_endian() {
        let memory = GuestMemory::new(4096).unwrap();
        memory.store(2, 0x1234);
        let mut bytes = [0; 4];
        memory.read(0, &mut bytes);
        assert_eq!(bytes, [0, 0, 0x34, 0x12]);
        assert_eq!(memory.load(2), 0x1234);
    }
}
