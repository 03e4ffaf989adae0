//! What ends a connection.

use std::io;

use crate::objects::BadId;
use crate::wire::{BadMessage, DISPLAY_ID};

/// `wl_display.error` codes.
pub mod display_error {
    /// The object does not exist, or not for this.
    pub const INVALID_OBJECT: u32 = 0;
    /// The request does not exist or is malformed.
    pub const INVALID_METHOD: u32 = 1;
    /// The server is out of memory.
    pub const NO_MEMORY: u32 = 2;
    /// The server failed.
    pub const IMPLEMENTATION: u32 = 3;
}

/// `wl_shm.error` codes.
pub(super) mod shm_error {
    /// Unknown format.
    pub(in crate::relay) const INVALID_FORMAT: u32 = 0;
    /// Size or stride out of bounds.
    pub(in crate::relay) const INVALID_STRIDE: u32 = 1;
    /// The descriptor cannot be used.
    pub(in crate::relay) const INVALID_FD: u32 = 2;
}

/// The client broke the protocol: it gets this error, as from a compositor, and
/// is disconnected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} (error {code} on object {object})")]
pub struct ClientError {
    /// The object that the error is about, as the client numbers it.
    pub object: u32,
    /// A code of the error enumeration of that object's interface.
    pub code: u32,
    /// For the client's log.
    pub text: String,
}

impl ClientError {
    /// An error of a particular interface.
    pub fn new(object: u32, code: u32, text: impl Into<String>) -> Self {
        Self {
            object,
            code,
            text: text.into(),
        }
    }

    /// One of [`display_error`].
    pub fn display(code: u32, text: impl Into<String>) -> Self {
        Self::new(DISPLAY_ID, code, text)
    }

    /// The use of an object that is not there, or of another interface.
    pub fn invalid_object(id: u32) -> Self {
        Self::display(
            display_error::INVALID_OBJECT,
            format!("invalid object {id}"),
        )
    }
}

impl From<BadMessage> for ClientError {
    fn from(error: BadMessage) -> Self {
        Self::display(display_error::INVALID_METHOD, error.to_string())
    }
}

impl From<BadId> for ClientError {
    fn from(error: BadId) -> Self {
        let code = match error {
            BadId::Invalid(_) => display_error::INVALID_OBJECT,
            BadId::TooMany => display_error::NO_MEMORY,
        };
        Self::display(code, error.to_string())
    }
}

/// The host's side cannot be continued; the client is disconnected.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A malformed event.
    #[error("malformed event")]
    Message(#[from] BadMessage),
    /// An object the host may not create.
    #[error("bad object in an event")]
    Id(#[from] BadId),
    /// An event of or with an object that does not exist.
    #[error("event refers to unknown object {0}")]
    UnknownObject(u32),
    /// An event that the interface does not have.
    #[error("{interface} has no event {opcode}")]
    UnknownEvent {
        /// The interface of the object.
        interface: &'static str,
        /// The event's index.
        opcode: u16,
    },
    /// An event whose descriptor did not come.
    #[error("event without its descriptor")]
    MissingFd,
    /// A descriptor could not be handed on.
    #[error("cannot hand on a descriptor")]
    Fd(#[source] io::Error),
}
