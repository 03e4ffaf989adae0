//! What has arrived for a stream VFD and was not taken yet.

use std::collections::VecDeque;

use super::inbound::Buffer;
use crate::wire::VfdId;

/// Memory that an idle stream keeps: room for one message.
const KEPT: usize = 4096;

/// Bytes, and VFDs that each belong to a position among the bytes.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: VecDeque<u8>,
    /// Position of the first of `bytes` in the stream.
    position: u64,
    vfds: VecDeque<Attached>,
    /// `in` buffers whose bytes were copied but which the device does not get back yet.
    held: Vec<Buffer>,
}

/// A VFD that arrived with the byte at `position`.
#[derive(Debug)]
struct Attached {
    position: u64,
    id: VfdId,
}

impl Inbox {
    /// Adds a message.
    pub(super) fn push(&mut self, vfds: &[VfdId], data: &[u8]) {
        let position = self.position + self.bytes.len() as u64;
        let attached = vfds.iter().map(|&id| Attached { position, id });
        self.vfds.extend(attached);
        self.bytes.extend(data);
    }

    /// Bytes waiting.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing to take, neither bytes nor VFDs.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.vfds.is_empty()
    }

    /// The VFD that comes before the next byte, if there is one.
    pub(super) fn next_vfd(&self) -> Option<VfdId> {
        self.vfds
            .front()
            .filter(|attached| attached.position <= self.position)
            .map(|attached| attached.id)
    }

    /// Takes the VFD that [`next_vfd`](Self::next_vfd) named.
    pub(super) fn pop_vfd(&mut self) {
        self.vfds.pop_front();
    }

    /// Takes all VFDs.
    pub(super) fn drain_vfds(&mut self) -> impl Iterator<Item = VfdId> {
        self.vfds.drain(..).map(|attached| attached.id)
    }

    /// Takes bytes up to the next VFD.
    pub(super) fn read(&mut self, target: &mut [u8]) -> usize {
        let until_vfd = self
            .vfds
            .front()
            .map_or(u64::MAX, |attached| attached.position - self.position);
        let len = usize::try_from(until_vfd)
            .unwrap_or(usize::MAX)
            .min(self.bytes.len())
            .min(target.len());
        let (front, back) = self.bytes.as_slices();
        let from_front = len.min(front.len());
        target[..from_front].copy_from_slice(&front[..from_front]);
        target[from_front..len].copy_from_slice(&back[..len - from_front]);
        self.bytes.drain(..len);
        self.position += len as u64;
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            self.bytes = VecDeque::new();
        }
        len
    }

    /// Keeps a buffer from the device until [`release`](Self::release).
    pub(super) fn hold(&mut self, buffer: Buffer) {
        self.held.push(buffer);
    }

    /// Takes all held buffers.
    pub(super) fn release(&mut self) -> Vec<Buffer> {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests;
