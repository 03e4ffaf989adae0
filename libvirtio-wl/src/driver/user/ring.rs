//! The driver side of a split virtqueue (virtio 1.2, section 2.7), with EVENT_IDX.
//!
//! A ring knows descriptors, not what is in the buffers: [`super::inbound`] and
//! [`super::outbound`] do. The device may write anything at any time, so nothing that matters is
//! read back from the ring: indices are kept here, and a used entry only ever names a descriptor,
//! which the user of the ring checks against what it has posted.

use std::sync::{
    Arc,
    atomic::{Ordering, fence},
};

use super::{layout::RingLayout, memory::GuestMemory};
use crate::limits::QUEUE_SIZE;

/// Descriptor flag: another descriptor follows.
const F_NEXT: u16 = 1;
/// Descriptor flag: the device writes the buffer.
const F_WRITE: u16 = 2;

/// Offset of `idx` in both rings.
const IDX: u32 = 2;
/// Offset of the entries in both rings.
const ENTRIES: u32 = 4;
/// Offset of `used_event`, behind the available ring's entries.
const USED_EVENT: u32 = ENTRIES + 2 * QUEUE_SIZE as u32;
/// Offset of `avail_event`, behind the used ring's entries.
const AVAIL_EVENT: u32 = ENTRIES + 8 * QUEUE_SIZE as u32;

/// One virtqueue.
#[derive(Debug)]
pub(super) struct Ring {
    memory: Arc<GuestMemory>,
    layout: RingLayout,
    /// Chains made available so far.
    available: u16,
    /// Value of `available` when the device was last considered for a notification.
    notified: u16,
    /// Chains taken back so far.
    used: u16,
}

/// A chain the device is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Used {
    /// Index of its first descriptor, within the ring.
    pub(super) head: u16,
    /// Bytes the device says it has written.
    pub(super) len: u32,
}

/// A buffer of a chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptor {
    pub(super) address: u32,
    pub(super) len: u32,
    /// The device writes it.
    pub(super) writable: bool,
    /// The descriptor that follows.
    pub(super) next: Option<u16>,
}

/// The device broke the rules of the ring; what it says next cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RingFault {
    /// More chains are used than were available.
    #[error("the device used {used} chains of {available}")]
    Index { used: u16, available: u16 },
    /// A used entry names no descriptor of the ring.
    #[error("the device used descriptor {0} of {QUEUE_SIZE}")]
    Descriptor(u32),
}

impl Ring {
    /// A ring with nothing in it. The memory at `layout` is zero.
    pub(super) fn new(memory: Arc<GuestMemory>, layout: RingLayout) -> Self {
        Self {
            memory,
            layout,
            available: 0,
            notified: 0,
            used: 0,
        }
    }

    /// Writes a descriptor. It must not be part of a chain that the device has.
    pub(super) fn describe(&self, index: u16, descriptor: Descriptor) {
        let mut flags = 0;
        if descriptor.writable {
            flags |= F_WRITE;
        }
        if descriptor.next.is_some() {
            flags |= F_NEXT;
        }
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&u64::from(descriptor.address).to_le_bytes());
        bytes[8..12].copy_from_slice(&descriptor.len.to_le_bytes());
        bytes[12..14].copy_from_slice(&flags.to_le_bytes());
        bytes[14..].copy_from_slice(&descriptor.next.unwrap_or_default().to_le_bytes());
        self.memory
            .write(self.layout.descriptors + 16 * u32::from(index), &bytes);
    }

    /// Gives the chain that starts at `head` to the device.
    pub(super) fn publish(&mut self, head: u16) {
        let entry = ENTRIES + 2 * u32::from(self.available % QUEUE_SIZE);
        self.memory
            .write(self.layout.available + entry, &head.to_le_bytes());
        self.available = self.available.wrapping_add(1);
        // The store releases the entry, the descriptors and the buffers.
        self.memory
            .store(self.layout.available + IDX, self.available);
    }

    /// Whether the device wants to hear of what was published since the last call.
    pub(super) fn needs_kick(&mut self) -> bool {
        // The device stores its event word and then looks for chains; we have published a chain
        // and now look at the word. Without a full fence both can miss the other.
        fence(Ordering::SeqCst);
        let event = self.memory.load(self.layout.used + AVAIL_EVENT);
        let old = std::mem::replace(&mut self.notified, self.available);
        need_event(event, self.available, old)
    }

    /// Takes the next chain that the device is done with.
    pub(super) fn pop_used(&mut self) -> Result<Option<Used>, RingFault> {
        let index = self.memory.load(self.layout.used + IDX);
        if index == self.used {
            return Ok(None);
        }
        let outstanding = self.available.wrapping_sub(self.used);
        if index.wrapping_sub(self.used) > outstanding {
            return Err(RingFault::Index {
                used: index,
                available: self.available,
            });
        }
        let mut bytes = [0; 8];
        let entry = ENTRIES + 8 * u32::from(self.used % QUEUE_SIZE);
        self.memory.read(self.layout.used + entry, &mut bytes);
        self.used = self.used.wrapping_add(1);
        let [i0, i1, i2, i3, l0, l1, l2, l3] = bytes;
        let id = u32::from_le_bytes([i0, i1, i2, i3]);
        let head = u16::try_from(id)
            .ok()
            .filter(|&head| head < QUEUE_SIZE)
            .ok_or(RingFault::Descriptor(id))?;
        Ok(Some(Used {
            head,
            len: u32::from_le_bytes([l0, l1, l2, l3]),
        }))
    }

    /// Asks for an interrupt with the next used chain. Returns whether there is one already, which
    /// may or may not interrupt.
    pub(super) fn arm(&self) -> bool {
        self.memory
            .store(self.layout.available + USED_EVENT, self.used);
        // The counterpart of the device's fence between its used index and this word.
        fence(Ordering::SeqCst);
        self.has_used()
    }

    /// Whether there is a used chain to take.
    pub(super) fn has_used(&self) -> bool {
        self.memory.load(self.layout.used + IDX) != self.used
    }

    /// Asks for no interrupt: the event lies behind the index, out of reach for the 65,535 chains
    /// to come.
    pub(super) fn disarm(&self) {
        self.memory.store(
            self.layout.available + USED_EVENT,
            self.used.wrapping_sub(1),
        );
    }
}

/// Whether moving an index from `old` to `new` passed `event` (virtio 1.2, section 2.7.10).
fn need_event(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

#[cfg(test)]
mod tests;
