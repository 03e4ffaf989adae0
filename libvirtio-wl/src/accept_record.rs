//! Accept records: how the host tells a compositor's VM of a new connection.
//!
//! The compositor opens the named context `wl-accept` ([`ACCEPT_CONTEXT`]) and reads
//! one record of [`RECORD_BYTES`] per connection. Nothing flows the other way. All
//! integers are little-endian:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | version, 1 |
//! | 2 | 2 | kind: 0 = new connection |
//! | 4 | 4 | VM id |
//! | 8 | 4 | label colour, `0x00RRGGBB` |
//! | 12 | 4 | flags, 0 |
//! | 16 | 32 | connection name: a context name, NUL padded |
//! | 48 | 64 | VM name, NUL padded |
//! | 112 | 16 | zero |
//!
//! Records have a fixed size so that a reader takes exactly one per accept and leaves
//! the rest in the descriptor: a level-triggered loop keeps waking up. 31 records fit
//! a virtio_wl message of 3968 bytes exactly, so a device never splits one whose
//! writer writes whole records.

use std::fmt;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::label::{Colour, LabelError, MAX_VM_NAME_BYTES, VmId, VmName};

#[cfg(test)]
mod tests;

/// The named context on which records arrive.
pub const ACCEPT_CONTEXT: &str = "wl-accept";

/// Size of a record in bytes.
pub const RECORD_BYTES: usize = 128;

/// The version this code writes and reads.
pub const RECORD_VERSION: u16 = 1;

/// `kind`: a client has connected and waits under the connection name.
pub const KIND_NEW_CONNECTION: u16 = 0;

/// Longest connection name in bytes: a context name has 32 bytes and we keep one NUL.
pub const MAX_CONNECTION_NAME_BYTES: usize = CONNECTION_FIELD_BYTES - 1;

const CONNECTION_FIELD_BYTES: usize = 32;
const VM_NAME_FIELD_BYTES: usize = MAX_VM_NAME_BYTES + 1;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawRecord {
    version: U16,
    kind: U16,
    vm_id: U32,
    colour: U32,
    flags: U32,
    connection: [u8; CONNECTION_FIELD_BYTES],
    vm_name: [u8; VM_NAME_FIELD_BYTES],
    reserved: [u8; 16],
}

const _: () = assert!(size_of::<RawRecord>() == RECORD_BYTES);

/// The context name under which one accepted connection waits.
///
/// 1 to 31 printable ASCII bytes without space.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionName(String);

impl ConnectionName {
    /// Checks and takes a name.
    ///
    /// # Errors
    ///
    /// [`AcceptRecordError::ConnectionName`] unless it is 1 to
    /// [`MAX_CONNECTION_NAME_BYTES`] bytes of printable ASCII without space.
    pub fn new(name: impl Into<String>) -> Result<Self, AcceptRecordError> {
        let name = name.into();
        let length = 1..=MAX_CONNECTION_NAME_BYTES;
        if length.contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(name))
        } else {
            Err(AcceptRecordError::ConnectionName)
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// One accepted connection and the label of the VM it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptRecord {
    /// The VM as the host numbers it.
    pub vm_id: VmId,
    /// Colour of its frames.
    pub colour: Colour,
    /// The context to open for this connection.
    pub connection: ConnectionName,
    /// Name of the VM.
    pub vm_name: VmName,
}

impl AcceptRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; RECORD_BYTES] {
        let raw = RawRecord {
            version: RECORD_VERSION.into(),
            kind: KIND_NEW_CONNECTION.into(),
            vm_id: self.vm_id.0.into(),
            colour: self.colour.to_u32().into(),
            flags: 0.into(),
            connection: padded(self.connection.as_str()),
            vm_name: padded(self.vm_name.as_str()),
            reserved: [0; 16],
        };
        zerocopy::transmute!(raw)
    }

    /// Reads a record, accepting nothing but what [`AcceptRecord::encode`] can write.
    ///
    /// # Errors
    ///
    /// The first field that is wrong, in the order of the layout.
    pub fn parse(bytes: &[u8; RECORD_BYTES]) -> Result<Self, AcceptRecordError> {
        let raw: RawRecord = zerocopy::transmute!(*bytes);
        let version = raw.version.get();
        if version != RECORD_VERSION {
            return Err(AcceptRecordError::Version { version });
        }
        let kind = raw.kind.get();
        if kind != KIND_NEW_CONNECTION {
            return Err(AcceptRecordError::Kind { kind });
        }
        let colour = Colour::from_u32(raw.colour.get()).map_err(AcceptRecordError::Colour)?;
        let flags = raw.flags.get();
        if flags != 0 {
            return Err(AcceptRecordError::Flags { flags });
        }
        let connection = unpadded(&raw.connection).ok_or(AcceptRecordError::ConnectionName)?;
        let connection = ConnectionName::new(connection)?;
        let vm_name = unpadded(&raw.vm_name).ok_or(AcceptRecordError::VmNamePadding)?;
        let vm_name = VmName::new(vm_name).map_err(AcceptRecordError::VmName)?;
        if raw.reserved != [0; 16] {
            return Err(AcceptRecordError::Reserved);
        }
        Ok(Self {
            vm_id: VmId(raw.vm_id.get()),
            colour,
            connection,
            vm_name,
        })
    }
}

/// NUL padded field; the types bound the text to one byte less than the field.
fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    for (to, from) in field.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    field
}

/// The text before the padding, if there is at least one NUL and only NULs after it.
fn unpadded(field: &[u8]) -> Option<&str> {
    let end = field.iter().position(|b| *b == 0)?;
    let (text, padding) = field.split_at(end);
    if padding.iter().any(|b| *b != 0) {
        return None;
    }
    str::from_utf8(text).ok()
}

/// Why a record was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptRecordError {
    /// Written by another version of the host.
    #[error("accept record of version {version}, expected {RECORD_VERSION}")]
    Version {
        /// The version found.
        version: u16,
    },
    /// Not a new connection.
    #[error("accept record of unknown kind {kind}")]
    Kind {
        /// The kind found.
        kind: u16,
    },
    /// The colour has more than 24 bits.
    #[error("accept record with a malformed colour")]
    Colour(#[source] LabelError),
    /// A flag is set that does not exist.
    #[error("accept record with unknown flags {flags:#x}")]
    Flags {
        /// The flags found.
        flags: u32,
    },
    /// Empty, too long, not printable ASCII, or not NUL padded.
    #[error("accept record with a malformed connection name")]
    ConnectionName,
    /// The VM name is not NUL padded text.
    #[error("accept record whose VM name is not NUL padded text")]
    VmNamePadding,
    /// The VM name is not a VM name.
    #[error("accept record with a malformed VM name")]
    VmName(#[source] LabelError),
    /// The last 16 bytes are not zero.
    #[error("accept record whose reserved bytes are not zero")]
    Reserved,
}
