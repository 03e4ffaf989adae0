//! From a client to its display: whole messages only, and a descriptor only
//! together with the message that takes it.
//!
//! The display's backend reads until its socket is empty and keeps descriptors
//! nobody asked for without a bound: 40 harmless requests with 28 descriptors
//! each use up a process. So what enters the socket is measured here.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::OwnedFd;

use super::transport::MAX_FDS;

/// Bytes read and handed on per turn of the event loop. One client's flood then
/// moves the next frame by well under a millisecond. It is also the longest
/// message there can be: libwayland's buffer, and the backend's.
pub(super) const BYTES_PER_TURN: usize = 4096;

/// Descriptors handed on per turn; each costs an mmap or more.
pub(super) const FDS_PER_TURN: usize = 4;

/// Descriptors that may wait for the messages they belong to. libwayland sends
/// up to 28 ahead of their bytes, and a second load may arrive with the rest.
const MAX_WAITING_FDS: usize = 2 * MAX_FDS;

/// wl_shm objects a client may bind. One is usual.
const MAX_SHM_BINDS: usize = 64;

/// Length of a message header.
const HEADER: usize = 8;

/// First object id that the server allocates.
const SERVER_IDS: u32 = 0xff00_0000;

/// What a client sent and the display has not got yet.
#[derive(Debug, Default)]
pub(super) struct Inbound {
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
    #[error("more than {MAX_SHM_BINDS} bindings of wl_shm")]
    ShmBinds,
}

/// A part to be written to the display's socket.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
}

impl Inbound {
    /// True if more can be taken in: less than one turn's worth is left.
    pub(super) fn has_room(&self) -> bool {
        self.bytes.len() < BYTES_PER_TURN
    }

    /// Takes in what a transport delivered.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        fds: impl IntoIterator<Item = OwnedFd>,
    ) -> Result<(), Violation> {
        self.bytes.extend(bytes);
        self.fds.extend(fds);
        if self.fds.len() > MAX_WAITING_FDS {
            return Err(Violation::IdleFds);
        }
        Ok(())
    }

    /// The next part for the display: complete messages up to one turn's
    /// budget. Empty if there is none.
    pub(super) fn next(&mut self) -> Result<Chunk, Violation> {
        let all = self.bytes.make_contiguous();
        let (mut end, mut fds) = (0, 0);
        while let Some(message) = Message::parse(&all[end..])? {
            let takes_fd = self.objects.follow(&message)?;
            let over = end + message.bytes.len() > BYTES_PER_TURN;
            if over || (takes_fd && fds == FDS_PER_TURN) {
                break;
            }
            end += message.bytes.len();
            fds += usize::from(takes_fd);
        }
        // A message may come without the descriptor it needs; the display
        // then answers as the protocol says.
        let fds = fds.min(self.fds.len());
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

    /// The argument words after the header.
    fn argument(&self, index: usize) -> Option<u32> {
        word(self.bytes, HEADER / 4 + index)
    }
}

/// A word of the wire: native byte order, as on a Unix socket.
fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let bytes = bytes.get(index * 4..index * 4 + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

/// The few objects whose requests carry descriptors.
#[derive(Debug, Default)]
struct Objects {
    registries: BTreeSet<u32>,
    shms: BTreeSet<u32>,
}

impl Objects {
    /// Follows a message. True if it takes a descriptor.
    ///
    /// Of all requests of the globals a VM sees only two do: `wl_shm.create_pool` and
    /// `wl_data_offer.receive`; a test holds that against the protocol
    /// files. Data offers are the only objects the server creates.
    fn follow(&mut self, message: &Message<'_>) -> Result<bool, Violation> {
        const DISPLAY: u32 = 1;
        const GET_REGISTRY: u16 = 1;
        const BIND: u16 = 0;
        const CREATE_POOL: u16 = 0;
        const RECEIVE: u16 = 1;

        let Message { object, opcode, .. } = *message;
        if object == DISPLAY && opcode == GET_REGISTRY {
            // A client may ask as often as it likes; the objects are bounded
            // elsewhere, the set only by what is bound through it.
            if self.registries.len() < MAX_SHM_BINDS {
                self.registries.extend(message.argument(0));
            }
        } else if opcode == BIND && self.registries.contains(&object) {
            if let Some(id) = bound_shm(message) {
                self.shms.insert(id);
                if self.shms.len() > MAX_SHM_BINDS {
                    return Err(Violation::ShmBinds);
                }
            }
        } else if self.shms.contains(&object) {
            return Ok(opcode == CREATE_POOL);
        } else if object >= SERVER_IDS {
            return Ok(opcode == RECEIVE);
        }
        Ok(false)
    }
}

/// The new id if a `wl_registry.bind` binds wl_shm: name, interface (length
/// with the NUL, text, padding), version, id.
fn bound_shm(message: &Message<'_>) -> Option<u32> {
    const NAME: &[u8] = b"wl_shm\0";
    if message.argument(1)? as usize != NAME.len() {
        return None;
    }
    let text = message.bytes.get(HEADER + 8..)?;
    if !text.starts_with(NAME) {
        return None;
    }
    // Name and length, two words of text, the version.
    message.argument(5)
}

#[cfg(test)]
mod tests;
