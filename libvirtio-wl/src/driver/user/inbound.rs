//! The `in` queue: messages from the device.

use std::sync::Arc;

use super::{
    layout::{self, RingLayout},
    memory::GuestMemory,
    ring::{Descriptor, Ring, RingFault},
};
use crate::limits::{IN_BUFFER_SIZE, QUEUE_IN, QUEUE_SIZE};

/// The `in` queue. Descriptor `n` always describes buffer `n`.
#[derive(Debug)]
pub(super) struct Inbound {
    ring: Ring,
    memory: Arc<GuestMemory>,
    /// Which buffers the device has.
    posted: [bool; QUEUE_SIZE as usize],
}

/// A buffer that the device has filled. Return it with [`Inbound::give_back`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a buffer that is not given back is lost to the device"]
pub(super) struct Buffer(u16);

/// The device broke the rules of the `in` queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InboundFault {
    #[error("in queue")]
    Ring(#[from] RingFault),
    #[error("the device filled buffer {0}, which it did not have")]
    NotPosted(u16),
    #[error("the device wrote {0} bytes to a buffer of {IN_BUFFER_SIZE}")]
    Length(u32),
}

impl Inbound {
    /// A queue with all buffers given to the device, which has not been told yet.
    pub(super) fn new(memory: Arc<GuestMemory>) -> Self {
        let mut ring = Ring::new(Arc::clone(&memory), RingLayout::of(QUEUE_IN));
        for index in 0..QUEUE_SIZE {
            ring.describe(
                index,
                Descriptor {
                    address: layout::in_buffer(index),
                    len: IN_BUFFER_SIZE as u32,
                    writable: true,
                    next: None,
                },
            );
            ring.publish(index);
        }
        Self {
            ring,
            memory,
            posted: [true; QUEUE_SIZE as usize],
        }
    }

    /// Copies the next message to the front of `message` and says how long it is.
    pub(super) fn next(
        &mut self,
        message: &mut [u8; IN_BUFFER_SIZE],
    ) -> Result<Option<(Buffer, usize)>, InboundFault> {
        let Some(used) = self.ring.pop_used()? else {
            return Ok(None);
        };
        let posted = &mut self.posted[usize::from(used.head)];
        if !std::mem::take(posted) {
            return Err(InboundFault::NotPosted(used.head));
        }
        let len = used.len as usize;
        let target = message
            .get_mut(..len)
            .ok_or(InboundFault::Length(used.len))?;
        self.memory.read(layout::in_buffer(used.head), target);
        Ok(Some((Buffer(used.head), len)))
    }

    /// Lets the device fill a buffer again.
    pub(super) fn give_back(&mut self, buffer: Buffer) {
        self.posted[usize::from(buffer.0)] = true;
        self.ring.publish(buffer.0);
    }

    /// See [`Ring::needs_kick`]. A device asks for this only while it is out of buffers.
    pub(super) fn needs_kick(&mut self) -> bool {
        self.ring.needs_kick()
    }

    /// See [`Ring::arm`].
    pub(super) fn arm(&self) -> bool {
        self.ring.arm()
    }

    /// See [`Ring::disarm`].
    pub(super) fn disarm(&self) {
        self.ring.disarm();
    }

    /// See [`Ring::has_used`].
    pub(super) fn has_used(&self) -> bool {
        self.ring.has_used()
    }
}

#[cfg(test)]
mod tests;
