//! The `out` queue: requests to the device, and their replies.

use std::sync::Arc;

use super::{
    layout::{self, REQUEST_SIZE, RingLayout, SLOTS},
    memory::GuestMemory,
    ring::{Descriptor, Ring, RingFault},
};
use crate::{
    limits::{MAX_RESPONSE_SIZE, QUEUE_OUT},
    wire::VfdId,
};

/// The `out` queue. Slot `n` owns descriptors `2n` (request) and `2n + 1` (reply).
#[derive(Debug)]
pub(super) struct Outbound {
    ring: Ring,
    memory: Arc<GuestMemory>,
    slots: [Option<Purpose>; SLOTS as usize],
    free: Vec<u16>,
}

/// Why a request was made: what its reply means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To create this VFD; somebody waits for the reply.
    Create(VfdId),
    /// Nobody waits; a failure breaks the VFD.
    Send(VfdId),
    /// The id is free for another VFD afterwards.
    Close(VfdId),
    /// More credit for a VFD.
    Credit(VfdId),
    /// How large is this memory now; somebody waits for the reply.
    Refresh {
        /// The memory.
        id: VfdId,
        /// Who waits.
        ticket: u64,
    },
}

/// A request that the device is done with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished {
    pub(super) purpose: Purpose,
    bytes: [u8; MAX_RESPONSE_SIZE],
    len: usize,
}

/// The device broke the rules of the `out` queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OutboundFault {
    #[error("out queue")]
    Ring(#[from] RingFault),
    #[error("the device finished a request at descriptor {0}, where there is none")]
    NotPosted(u16),
    #[error("the device wrote {0} bytes to a reply of {MAX_RESPONSE_SIZE}")]
    Length(u32),
}

impl Finished {
    /// The reply, as the device wrote it.
    pub(super) fn reply(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Outbound {
    /// A queue with all slots free.
    pub(super) fn new(memory: Arc<GuestMemory>) -> Self {
        let ring = Ring::new(Arc::clone(&memory), RingLayout::of(QUEUE_OUT));
        for slot in 0..SLOTS {
            ring.describe(
                2 * slot + 1,
                Descriptor {
                    address: layout::reply(slot),
                    len: MAX_RESPONSE_SIZE as u32,
                    writable: true,
                    next: None,
                },
            );
        }
        Self {
            ring,
            memory,
            slots: [None; SLOTS as usize],
            free: (0..SLOTS).rev().collect(),
        }
    }

    /// Slots without a request.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Puts a request, given in parts of together at most [`REQUEST_SIZE`] bytes, on the queue.
    /// Returns whether there was a slot for it.
    pub(super) fn post<'a>(
        &mut self,
        parts: impl IntoIterator<Item = &'a [u8]>,
        purpose: Purpose,
    ) -> bool {
        let Some(slot) = self.free.pop() else {
            return false;
        };
        let mut len = 0;
        for part in parts {
            debug_assert!(len + part.len() <= REQUEST_SIZE);
            self.memory.write(layout::request(slot) + len as u32, part);
            len += part.len();
        }
        self.ring.describe(
            2 * slot,
            Descriptor {
                address: layout::request(slot),
                len: len as u32,
                writable: false,
                next: Some(2 * slot + 1),
            },
        );
        self.slots[usize::from(slot)] = Some(purpose);
        self.ring.publish(2 * slot);
        true
    }

    /// Takes the next finished request and frees its slot.
    pub(super) fn reap(&mut self) -> Result<Option<Finished>, OutboundFault> {
        let Some(used) = self.ring.pop_used()? else {
            return Ok(None);
        };
        let slot = used.head / 2;
        let purpose = self.slots[usize::from(slot)]
            .take_if(|_| used.head.is_multiple_of(2))
            .ok_or(OutboundFault::NotPosted(used.head))?;
        self.free.push(slot);
        let mut bytes = [0; MAX_RESPONSE_SIZE];
        let len = used.len as usize;
        let target = bytes
            .get_mut(..len)
            .ok_or(OutboundFault::Length(used.len))?;
        self.memory.read(layout::reply(slot), target);
        Ok(Some(Finished {
            purpose,
            bytes,
            len,
        }))
    }

    /// See [`Ring::needs_kick`].
    pub(super) fn needs_kick(&mut self) -> bool {
        self.ring.needs_kick()
    }

    /// See [`Ring::arm`].
    pub(super) fn arm(&self) -> bool {
        self.ring.arm()
    }

    /// See [`Ring::has_used`].
    pub(super) fn has_used(&self) -> bool {
        self.ring.has_used()
    }

    /// See [`Ring::disarm`].
    pub(super) fn disarm(&self) {
        self.ring.disarm();
    }
}

#[cfg(test)]
mod tests;
