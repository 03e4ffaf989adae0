//! A client's bytes on their way to the compositor: unread, in order, a part at a time.

use std::os::fd::OwnedFd;

use virtio_wl_bridge::transport::MAX_FDS;
use virtio_wl_bridge::{Chunk, Inbound};

#[cfg(test)]
mod tests;

/// What one read brought and the compositor has not got yet.
///
/// While there is anything, nothing more is read: the socket to the compositor is the queue.
#[derive(Debug, Default)]
pub struct Passing(Chunk);

/// The client has sent descriptors without the bytes to go with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} file descriptors with too few bytes")]
pub struct TooManyFds(usize);

impl Inbound for Passing {
    type Violation = TooManyFds;

    fn has_room(&self) -> bool {
        self.0.bytes.is_empty()
    }

    fn push(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) -> Result<(), TooManyFds> {
        // Those of several messages come together when they have come ahead of their bytes. Each
        // of those messages had a byte at least.
        if fds.len() > MAX_FDS * bytes.len() {
            return Err(TooManyFds(fds.len()));
        }
        self.0.bytes.extend_from_slice(bytes);
        self.0.fds.extend(fds);
        Ok(())
    }

    fn next(&mut self) -> Result<Chunk, TooManyFds> {
        let all = &mut self.0;
        if all.fds.len() <= MAX_FDS {
            return Ok(std::mem::take(all));
        }
        // libwayland makes room for no more in one message, and does the same.
        Ok(Chunk {
            bytes: all.bytes.drain(..1).collect(),
            fds: all.fds.drain(..MAX_FDS).collect(),
        })
    }
}
