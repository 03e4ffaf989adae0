//! The Wayland wire format: framing, typed access to arguments, and the queues
//! of bytes and descriptors on both sides of the relay.
//!
//! Nothing here knows an interface, a client or a host.

mod args;
mod queue;

pub use args::{ArgReader, BadMessage};
pub use queue::{Draft, InQueue, MessageWriter, OutQueue};

#[cfg(test)]
mod tests;

/// Bytes of a message header: object id u32, then size u16 (high half) and
/// opcode u16 (low half) of one word.
pub const HEADER_LEN: usize = 8;

/// Largest message that can be expressed: the size field has 16 bits and counts
/// the header.
///
/// libwayland refuses more than 4096 bytes by default, but a compositor may
/// raise its limit, so the decision is left to it.
pub const MAX_MESSAGE_LEN: usize = 0xfffc;

/// First object id that the server side allocates.
pub const SERVER_ID_BASE: u32 = 0xff00_0000;

/// The id of `wl_display`, the only object that exists from the start.
pub const DISPLAY_ID: u32 = 1;

/// Descriptors one `sendmsg` carries at most: the limit of libwayland
/// (`MAX_FDS_OUT`) and of a virtio_wl message alike.
pub const MAX_FDS_PER_SEND: usize = 28;

/// One complete message of an input queue, not yet interpreted.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The object the message is addressed to (request) or comes from (event).
    pub object: u32,
    /// Index of the request or event in its interface.
    pub opcode: u16,
    /// The arguments, a whole number of 32-bit words.
    pub body: &'a [u8],
}

/// A header that cannot start a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message of {0} bytes is not a whole number of words or shorter than its header")]
pub struct BadLength(pub u16);

impl<'a> Message<'a> {
    /// Takes the first message off `bytes`, or `None` until it is complete.
    ///
    /// # Errors
    /// [`BadLength`] when no continuation can make the header valid.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, BadLength> {
        let (Some(object), Some(word)) = (word_at(bytes, 0), word_at(bytes, 4)) else {
            return Ok(None);
        };
        let [low, high] = [word & 0xffff, word >> 16];
        let (opcode, size) = (low as u16, high as u16);
        let len = usize::from(size);
        if len < HEADER_LEN || !len.is_multiple_of(4) {
            return Err(BadLength(size));
        }
        Ok(bytes.get(HEADER_LEN..len).map(|body| Self {
            object,
            opcode,
            body,
        }))
    }

    /// Bytes of the whole message, header included.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        HEADER_LEN + self.body.len()
    }
}

/// Reads the 32-bit word at byte `at`; Wayland uses the byte order of the
/// machine.
#[must_use]
pub fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

/// Second word of a header.
pub(crate) fn size_and_opcode(len: usize, opcode: u16) -> u32 {
    debug_assert!(len <= MAX_MESSAGE_LEN);
    (len as u32) << 16 | u32::from(opcode)
}

/// Rounds a string or array length up to whole words.
pub(crate) fn padded(len: usize) -> usize {
    len.next_multiple_of(4)
}
