//! What a host peer has not taken yet: bytes and descriptors, bounded.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::quota::{Charge, Quota, Resource};

#[cfg(test)]
mod tests;

/// Most descriptors in one queue: several full messages, yet far below the
/// process's descriptor limit.
pub const MAX_QUEUED_FDS: usize = 512;

/// Bytes without descriptors are appended to the last chunk up to this size, so
/// that a million one-byte messages cost a million bytes and not more.
const COALESCE: usize = 64 * 1024;

/// The queue is full: its connection is to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer does not read: output queue is full")]
pub struct Full;

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    sent: usize,
    /// Go with the first byte of the chunk.
    fds: Vec<Arc<OwnedFd>>,
}

/// A bounded queue in front of a non-blocking peer.
#[derive(Debug)]
pub struct OutQueue {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    fds: usize,
    limit: usize,
    quota: Arc<Quota>,
    charge: Option<Charge>,
}

impl OutQueue {
    /// An empty queue for at most `limit` bytes, charged to `quota`.
    #[must_use]
    pub fn new(limit: usize, quota: Arc<Quota>) -> Self {
        OutQueue {
            chunks: VecDeque::new(),
            bytes: 0,
            fds: 0,
            limit,
            quota,
            charge: None,
        }
    }

    /// Bytes waiting.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Descriptors waiting.
    #[must_use]
    pub fn fds(&self) -> usize {
        self.fds
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Sends `bytes` with `fds` through `write`, and queues what it does not take.
    ///
    /// `write` gets bytes and the descriptors that go with the first of them; it
    /// returns how many bytes it took (then it took all descriptors) or an error.
    ///
    /// # Errors
    /// Those of `write`, except `WouldBlock` and `Interrupted`; [`Full`] inside an
    /// [`io::Error`] of kind `QuotaExceeded`.
    pub fn send(
        &mut self,
        bytes: &[u8],
        fds: Vec<Arc<OwnedFd>>,
        mut write: impl FnMut(&[u8], &[BorrowedFd<'_>]) -> io::Result<usize>,
    ) -> io::Result<()> {
        let mut sent = 0;
        let mut fds = fds;
        while self.is_empty() && sent < bytes.len() {
            let borrowed: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
            match write(&bytes[sent..], &borrowed) {
                Ok(n) => {
                    sent += n;
                    fds.clear();
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        if sent < bytes.len() {
            self.push(&bytes[sent..], fds)
                .map_err(|full| io::Error::new(io::ErrorKind::QuotaExceeded, full))?;
        }
        Ok(())
    }

    /// Sends what waits, as far as `write` takes it.
    ///
    /// # Errors
    /// Those of `write`, except `WouldBlock` and `Interrupted`.
    pub fn flush(
        &mut self,
        mut write: impl FnMut(&[u8], &[BorrowedFd<'_>]) -> io::Result<usize>,
    ) -> io::Result<()> {
        while let Some(chunk) = self.chunks.front_mut() {
            let borrowed: Vec<_> = chunk.fds.iter().map(|fd| fd.as_fd()).collect();
            match write(&chunk.bytes[chunk.sent..], &borrowed) {
                Ok(n) => {
                    chunk.sent += n;
                    self.fds -= chunk.fds.len();
                    chunk.fds.clear();
                    self.bytes -= n;
                    if let Some(charge) = &mut self.charge {
                        charge.shrink(n as u64);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
            if chunk.sent == chunk.bytes.len() {
                self.chunks.pop_front();
            }
        }
        self.charge = None;
        Ok(())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.chunks.clear();
        (self.bytes, self.fds) = (0, 0);
        self.charge = None;
    }

    fn push(&mut self, bytes: &[u8], fds: Vec<Arc<OwnedFd>>) -> Result<(), Full> {
        if self.bytes + bytes.len() > self.limit || self.fds + fds.len() > MAX_QUEUED_FDS {
            return Err(Full);
        }
        let charge = self
            .quota
            .charge(Resource::Queued, bytes.len() as u64)
            .map_err(|_| Full)?;
        match &mut self.charge {
            Some(all) => all.absorb(charge),
            none => *none = Some(charge),
        }
        self.bytes += bytes.len();
        self.fds += fds.len();
        match self.chunks.back_mut() {
            Some(last) if fds.is_empty() && last.bytes.len() < COALESCE => {
                last.bytes.extend_from_slice(bytes);
            }
            _ => self.chunks.push_back(Chunk {
                bytes: bytes.to_vec(),
                sent: 0,
                fds,
            }),
        }
        Ok(())
    }
}
