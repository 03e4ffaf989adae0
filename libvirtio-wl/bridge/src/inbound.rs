//! What happens to a client's bytes and descriptors before the display gets them.

use std::error::Error;
use std::fmt::Debug;
use std::os::fd::OwnedFd;

/// Bytes read from a side of a link per turn of the event loop. One client's flood then moves the
/// next frame by well under a millisecond. It is also the longest message that libwayland's
/// buffers hold by default.
pub const BYTES_PER_TURN: usize = 4096;

/// A part to be written to the display's socket.
#[derive(Debug, Default)]
pub struct Chunk {
    /// What to write.
    pub bytes: Vec<u8>,
    /// Goes with the first of the bytes.
    pub fds: Vec<OwnedFd>,
}

/// Takes in what a client sent, gives out what the display may read.
pub trait Inbound: Debug {
    /// Why a client is cut off.
    type Violation: Error + Send + Sync + 'static;

    /// True if more can be taken in.
    fn has_room(&self) -> bool;

    /// Takes in what a transport delivered, at most [`BYTES_PER_TURN`] bytes.
    ///
    /// # Errors
    /// The client has broken a rule.
    fn push(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) -> Result<(), Self::Violation>;

    /// The next part for the display, empty if there is none.
    ///
    /// # Errors
    /// The client has broken a rule.
    fn next(&mut self) -> Result<Chunk, Self::Violation>;
}
