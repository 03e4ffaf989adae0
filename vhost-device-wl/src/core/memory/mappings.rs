//! What of the region is in use: by blocks, by the files of peers, by nobody any more.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::block::{Block, FileId, Place};
use super::{MemoryError, MemoryStore};

/// Freed mappings kept for reuse: a map or unmap costs a round trip to the
/// frontend, and more the more mappings are live.
pub(super) const MAX_IDLE: usize = 16;

/// Bytes of address space the idle mappings may cover together. Their pages are
/// given back when they become idle.
pub(super) const MAX_IDLE_BYTES: u64 = 64 << 20;

/// Mappings that may wait for their end while there is something else to do: a file that comes
/// again meanwhile, as a buffer that is sent with each frame, keeps its mapping.
const MAX_DOOMED: usize = 16;

/// Of more than that, as many end with each new mapping. QEMU needs the longer for one the more
/// there are, so that their number must fall.
const REAPED_PER_MAP: usize = 4;

/// As much of a peer's file in the region as it had when it was mapped.
#[derive(Debug)]
pub(super) struct PeerMapping {
    offset: u64,
    /// 0: it is doomed, and saved if the file comes again.
    users: u64,
}

impl MemoryStore {
    /// Whether the guest can see a block where it is said to be.
    #[must_use]
    pub fn is_visible(&self, block: &Block) -> bool {
        block
            .offset
            .is_none_or(|offset| self.port.is_visible(offset))
    }

    /// Bytes and number of mappings the guest can see, or could, were they not idle.
    #[must_use]
    pub fn mapped(&self) -> (u64, u64) {
        (self.mapped_bytes, self.mappings)
    }

    /// Whether something is mapped that nobody uses, and nothing else.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        let unused = self.idle.len() + self.doomed.len();
        unused > 0 && u64::try_from(unused) == Ok(self.mappings)
    }

    /// Ends all idle mappings.
    pub fn clear(&mut self) {
        while self.retire() {}
    }

    /// Unmaps one of what nobody needs any more; if there is no `time`, only one of too many. True:
    /// there is more.
    pub fn reap(&mut self, time: bool) -> bool {
        if (time || self.doomed.len() > MAX_DOOMED)
            && let Some((place, file)) = self.doomed.pop_front()
        {
            if let Some(file) = file {
                self.peers.remove(&(file, place.len));
            }
            self.unmap(place);
        }
        !self.doomed.is_empty()
    }

    /// Panics if the store contradicts itself. For tests.
    #[cfg(any(test, feature = "test-util"))]
    pub fn verify_invariants(&self) {
        assert!(self.idle.len() <= MAX_IDLE && self.idle_bytes() <= MAX_IDLE_BYTES);
        assert!(
            self.idle
                .iter()
                .all(|block| !block.shared && block.offset.is_some())
        );
        let doomed = self
            .doomed
            .iter()
            .filter_map(|(place, file)| Some((*file.as_ref()?, place)));
        let unused = self.peers.iter().filter(|(_, mapping)| mapping.users == 0);
        assert_eq!(doomed.clone().count(), unused.count());
        for (file, place) in doomed {
            let mapping = &self.peers[&(file, place.len)];
            assert_eq!((mapping.offset, mapping.users), (place.offset, 0));
        }
        assert_eq!(self.mapped_bytes + self.window.free(), self.window.len());
    }

    /// Maps a peer's file, unless that much of it is mapped already.
    pub(super) fn expose_peer(
        &mut self,
        fd: &OwnedFd,
        id: FileId,
        len: u64,
    ) -> Result<u64, MemoryError> {
        if let Some(mapping) = self.peers.get_mut(&(id, len)) {
            let offset = mapping.offset;
            if mapping.users == 0 {
                self.doomed.retain(|(place, _)| place.offset != offset);
            }
            mapping.users += 1;
            return Ok(offset);
        }
        let offset = self.map(fd, len)?;
        let mapping = PeerMapping { offset, users: 1 };
        self.peers.insert((id, len), mapping);
        Ok(offset)
    }

    pub(super) fn expose(&mut self, block: &mut Block) -> Result<(), MemoryError> {
        block.offset = Some(self.map(&block.fd, block.len)?);
        Ok(())
    }

    fn map(&mut self, fd: &OwnedFd, len: u64) -> Result<u64, MemoryError> {
        for _ in 0..REAPED_PER_MAP {
            self.reap(false);
        }
        loop {
            let Some(offset) = self.window.take(len) else {
                if self.evict() {
                    continue;
                }
                return Err(MemoryError::WindowFull(len));
            };
            match self.port.map(fd.as_fd(), offset, len) {
                Ok(()) => {
                    self.mapped_bytes += len;
                    self.mappings += 1;
                    return Ok(offset);
                }
                // A refused request left nothing mapped.
                Err(error) => {
                    self.window.give(offset, len);
                    let many = error.kind() == io::ErrorKind::QuotaExceeded;
                    if !(many && self.evict()) {
                        return Err(error.into());
                    }
                }
            }
        }
    }

    pub(super) fn hide(&mut self, block: &mut Block) {
        let offset = block.offset.take();
        let newest = offset.map(|offset| Place {
            offset,
            len: block.len,
        });
        for place in std::mem::take(&mut block.older).into_iter().chain(newest) {
            if let Some(file) = block.file
                && let Some(mapping) = self.peers.get_mut(&(file, place.len))
            {
                mapping.users -= 1;
                if mapping.users > 0 {
                    continue;
                }
            }
            self.doomed.push_back((place, block.file));
        }
    }

    fn unmap(&mut self, Place { offset, len }: Place) {
        self.mapped_bytes -= len;
        self.mappings -= 1;
        match self.port.unmap(offset, len) {
            Ok(()) => self.window.give(offset, len),
            // The guest may still see it there: never use the range again. (Usually the
            // frontend is leaving.)
            Err(error) => tracing::debug!(offset, len, %error, "cannot unmap"),
        }
    }

    /// Makes room, if there is anything that nobody needs.
    pub(super) fn evict(&mut self) -> bool {
        if self.doomed.is_empty() && !self.retire() {
            return false;
        }
        self.reap(true);
        true
    }

    /// Gives up an idle mapping.
    pub(super) fn retire(&mut self) -> bool {
        let block = self.idle.pop_front();
        block.map(|mut block| self.hide(&mut block)).is_some()
    }

    pub(super) fn idle_bytes(&self) -> u64 {
        self.idle.iter().map(|block| block.len).sum()
    }
}
