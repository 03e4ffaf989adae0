//! What can be wrong with a message.

use super::{NameError, Response};
use crate::limits::{MAX_REQUEST_SIZE, MAX_VFDS_PER_MESSAGE};

/// Why bytes are not a message of virtio_wl.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It ends before its last field.
    #[error("message of {actual} bytes needs at least {needed}")]
    Truncated {
        /// Bytes the message must have.
        needed: usize,
        /// Bytes it has.
        actual: usize,
    },
    /// A message without data goes on behind its last field.
    #[error("message of {actual} bytes may have at most {allowed}")]
    TrailingBytes {
        /// Bytes the message may have.
        allowed: usize,
        /// Bytes it has.
        actual: usize,
    },
    /// Longer than any request can be.
    #[error("request of {0} bytes exceeds {MAX_REQUEST_SIZE}")]
    TooLong(usize),
    /// The type is unknown, or belongs to the other direction.
    #[error("unknown message type {0:#x}")]
    UnknownType(u32),
    /// The header's flags are not 0.
    #[error("header flags {0:#x} are not zero")]
    BadHeaderFlags(u32),
    /// A flag that this message must not carry.
    #[error("flags {flags:#x} contain more than {allowed:#x}")]
    BadFlags {
        /// The flags of the message.
        flags: u32,
        /// The flags it may have.
        allowed: u32,
    },
    /// A request for legacy memory with flags of no memory.
    #[error("legacy memory flags {0:#x} contain more than write and map")]
    BadLegacyFlags(u32),
    /// A new pipe needs exactly one direction.
    #[error("pipe flags {0:#x} are not exactly one of read and write")]
    BadPipeFlags(u32),
    /// An id that no VFD can have here.
    #[error("VFD id {0:#x} is not valid here")]
    BadId(u32),
    /// More VFDs than a message may name.
    #[error("{0} VFDs exceed {MAX_VFDS_PER_MESSAGE}")]
    TooManyVfds(u32),
    /// VFDs without a byte of data: a host stream socket would drop them silently.
    #[error("VFDs without data")]
    VfdsWithoutData,
    /// An entry kind that does not exist or was not negotiated.
    #[error("unknown or unnegotiated kind {0:#x} of an entry to send")]
    BadSendKind(u32),
    /// The context name cannot be one.
    #[error(transparent)]
    BadName(#[from] NameError),
    /// Memory of zero bytes.
    #[error("memory of zero bytes")]
    ZeroSize,
    /// Memory that does not lie in the shared memory region.
    #[error("memory at page {pfn:#x} of {size} bytes lies outside the shared memory region")]
    BadMemory {
        /// First page, in units of 4096 bytes.
        pfn: u64,
        /// Size in bytes.
        size: u32,
    },
}

impl ParseError {
    /// The answer a device gives to a request with this fault.
    pub fn response(&self) -> Response {
        match self {
            Self::BadHeaderFlags(_) | Self::BadFlags { .. } | Self::BadPipeFlags(_) => {
                Response::InvalidFlags
            }
            Self::BadId(_) => Response::InvalidId,
            Self::BadSendKind(_) | Self::VfdsWithoutData => Response::InvalidType,
            Self::BadLegacyFlags(_)
            | Self::BadName(_)
            | Self::ZeroSize
            | Self::BadMemory { .. } => Response::Err,
            Self::Truncated { .. }
            | Self::TrailingBytes { .. }
            | Self::TooLong(_)
            | Self::UnknownType(_)
            | Self::TooManyVfds(_) => Response::InvalidCmd,
        }
    }
}
