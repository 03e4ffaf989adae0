//! Memory of a VFD in this process.

use std::os::fd::AsFd;

use nix::sys::mman::{MapFlags, ProtFlags};

use crate::sys;

/// A mapping, until dropped. Others write to it too, so every access is volatile.
#[derive(Debug)]
pub(crate) struct Mapping {
    raw: sys::RawMapping,
}

impl Mapping {
    pub(crate) fn new(
        fd: impl AsFd,
        len: usize,
        offset: i64,
        prot: ProtFlags,
        flags: MapFlags,
    ) -> nix::Result<Self> {
        sys::RawMapping::new(fd.as_fd(), len, offset, prot, flags).map(|raw| Self { raw })
    }

    /// All of it, shared, to read and write.
    pub(crate) fn shared(fd: impl AsFd, len: usize) -> nix::Result<Self> {
        Self::new(
            fd,
            len,
            0,
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            MapFlags::MAP_SHARED,
        )
    }

    /// All of it, shared, only to read.
    pub(crate) fn read_only(fd: impl AsFd, len: usize) -> nix::Result<Self> {
        Self::new(fd, len, 0, ProtFlags::PROT_READ, MapFlags::MAP_SHARED)
    }

    pub(crate) fn get(&self, at: usize) -> u8 {
        self.raw.get(at)
    }

    pub(crate) fn set(&self, at: usize, value: u8) {
        self.raw.set(at, value);
    }

    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            self.set(at + index, *byte);
        }
    }

    pub(crate) fn read(&self, at: usize, len: usize) -> Vec<u8> {
        (at..at + len).map(|index| self.get(index)).collect()
    }

    pub(crate) fn raw(&self) -> &sys::RawMapping {
        &self.raw
    }
}
