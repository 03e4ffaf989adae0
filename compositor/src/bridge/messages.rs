//! From a client to its display: whole messages only, and a descriptor only
//! together with the message that takes it.
//!
//! The display's backend reads until its socket is empty and keeps descriptors
//! nobody asked for without a bound: 40 harmless requests with 28 descriptors
//! each use up a process. So what enters the socket is measured here.

mod objects;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use virtio_wl_bridge::inbound::BYTES_PER_TURN;
use virtio_wl_bridge::transport::MAX_FDS;
use virtio_wl_bridge::{Chunk, Inbound};

use objects::Objects;

/// Descriptors handed on per turn; each costs an mmap or more.
const FDS_PER_TURN: usize = 4;

/// Descriptors that may wait for the messages they belong to. libwayland sends
/// up to 28 ahead of their bytes, and a second load may arrive with the rest.
const MAX_WAITING_FDS: usize = 2 * MAX_FDS;

/// Length of a message header.
const HEADER: usize = 8;

/// What a client sent and the display has not got yet.
#[derive(Debug, Default)]
pub(super) struct Messages {
    bytes: VecDeque<u8>,
    fds: VecDeque<OwnedFd>,
    objects: Objects,
}

/// Why a client is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("message of {0} bytes")]
    Length(u16),
    #[error("more than {MAX_WAITING_FDS} file descriptors without a message that takes them")]
    IdleFds,
    #[error("request to object {0} without its file descriptor")]
    MissingFd(u32),
    #[error("request to object {0}, which does not exist")]
    Object(u32),
    #[error("{0} has no request {1}")]
    Opcode(&'static str, u16),
    #[error("arguments of {0} do not fit it")]
    Arguments(&'static str),
    #[error("{0} cannot be the id of a new object")]
    NewId(u32),
    #[error("binding of something that is not offered")]
    Global,
}

impl Inbound for Messages {
    type Violation = Violation;

    /// True if less than one turn's worth is left.
    fn has_room(&self) -> bool {
        self.bytes.len() < BYTES_PER_TURN
    }

    fn push(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) -> Result<(), Violation> {
        self.bytes.extend(bytes);
        self.fds.extend(fds);
        if self.fds.len() > MAX_WAITING_FDS {
            return Err(Violation::IdleFds);
        }
        Ok(())
    }

    /// Complete messages up to one turn's budget.
    fn next(&mut self) -> Result<Chunk, Violation> {
        let all = self.bytes.make_contiguous();
        let (mut end, mut fds) = (0, 0);
        while let Some(message) = Message::parse(&all[end..])? {
            // Following a message twice, now and in the next turn, is harmless.
            let takes = self.objects.follow(&message)?;
            let over = end + message.bytes.len() > BYTES_PER_TURN;
            if over || fds + takes > FDS_PER_TURN {
                break;
            }
            end += message.bytes.len();
            fds += takes;
            // Descriptors arrive with the bytes of their message or before.
            // The display would wait for this one for ever.
            if fds > self.fds.len() {
                return Err(Violation::MissingFd(message.object));
            }
        }
        Ok(Chunk {
            bytes: self.bytes.drain(..end).collect(),
            fds: self.fds.drain(..fds).collect(),
        })
    }
}

/// One complete message.
#[derive(Debug, Clone, Copy)]
struct Message<'a> {
    object: u32,
    opcode: u16,
    /// With the header.
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// The message at the start of `bytes`, if it is complete.
    fn parse(bytes: &'a [u8]) -> Result<Option<Self>, Violation> {
        let (Some(object), Some(word)) = (word(bytes, 0), word(bytes, 1)) else {
            return Ok(None);
        };
        let [low, high] = [(word & 0xffff) as u16, (word >> 16) as u16];
        let length = usize::from(high);
        if !(HEADER..=BYTES_PER_TURN).contains(&length) || length % 4 != 0 {
            return Err(Violation::Length(high));
        }
        Ok(bytes.get(..length).map(|bytes| Self {
            object,
            opcode: low,
            bytes,
        }))
    }

    /// What comes after the header.
    fn arguments(&self) -> &'a [u8] {
        &self.bytes[HEADER..]
    }
}

/// A word of the wire: native byte order, as on a Unix socket.
fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let bytes = bytes.get(index * 4..index * 4 + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests;
