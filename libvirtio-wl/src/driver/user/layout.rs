//! Where everything lies in guest memory.
//!
//! ```text
//! 0x000000  in:  descriptors | available ring | used ring    one page each
//! 0x003000  out: descriptors | available ring | used ring    one page each
//! 0x006000  in buffers       256 × 4096
//! 0x106000  out requests     128 × 4096
//! 0x186000  out replies      128 × 64
//! 0x188000  end
//! ```
//!
//! One page per ring part satisfies every alignment rule of split virtqueues and keeps words that
//! different sides write out of one cache line.

use crate::limits::{
    IN_BUFFER_SIZE, MAX_CHUNK, MAX_RESPONSE_SIZE, MAX_VFDS_PER_MESSAGE, QUEUE_IN, QUEUE_OUT,
    QUEUE_SIZE, SEND_HEADER_SIZE,
};

/// Requests that can be under way: each takes two descriptors, one to read and one for the reply.
pub(super) const SLOTS: u16 = QUEUE_SIZE / 2;

/// Space for one request: exactly the largest SEND, 28 VFDs and [`MAX_CHUNK`] bytes.
pub(super) const REQUEST_SIZE: usize = 4096;

/// Bytes of guest memory.
pub(super) const MEMORY_SIZE: usize = REPLIES as usize + SLOTS as usize * MAX_RESPONSE_SIZE;

const PAGE: u32 = 4096;
const RING_PAGES: u32 = 3;
const IN_BUFFERS: u32 = 2 * RING_PAGES * PAGE;
const REQUESTS: u32 = IN_BUFFERS + QUEUE_SIZE as u32 * IN_BUFFER_SIZE as u32;
const REPLIES: u32 = REQUESTS + SLOTS as u32 * REQUEST_SIZE as u32;

/// Addresses of the three parts of a split virtqueue.
#[derive(Clone, Copy, Debug)]
pub(super) struct RingLayout {
    /// Descriptor table: 16 bytes per entry.
    pub(super) descriptors: u32,
    /// flags u16, idx u16, 2 bytes per entry, used_event u16.
    pub(super) available: u32,
    /// flags u16, idx u16, 8 bytes per entry, avail_event u16.
    pub(super) used: u32,
}

impl RingLayout {
    /// The ring of a queue.
    pub(super) const fn of(queue: usize) -> Self {
        let start = queue as u32 * RING_PAGES * PAGE;
        Self {
            descriptors: start,
            available: start + PAGE,
            used: start + 2 * PAGE,
        }
    }
}

/// Address of an `in` buffer.
pub(super) const fn in_buffer(index: u16) -> u32 {
    IN_BUFFERS + index as u32 * IN_BUFFER_SIZE as u32
}

/// Address of the request in a slot of the `out` queue.
pub(super) const fn request(slot: u16) -> u32 {
    REQUESTS + slot as u32 * REQUEST_SIZE as u32
}

/// Address of the reply in a slot of the `out` queue.
pub(super) const fn reply(slot: u16) -> u32 {
    REPLIES + slot as u32 * MAX_RESPONSE_SIZE as u32
}

const _: () = {
    assert!(16 * QUEUE_SIZE as u32 <= PAGE);
    assert!(6 + 2 * QUEUE_SIZE as u32 <= PAGE);
    assert!(6 + 8 * QUEUE_SIZE as u32 <= PAGE);
    assert!(QUEUE_IN == 0 && QUEUE_OUT == 1);
    assert!(SEND_HEADER_SIZE + 4 * MAX_VFDS_PER_MESSAGE + MAX_CHUNK <= REQUEST_SIZE);
    assert!(MEMORY_SIZE.is_multiple_of(PAGE as usize));
};
