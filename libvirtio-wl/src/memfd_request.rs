//! Requests to the memory server, on the named context `memfd` ([`MEMFD_CONTEXT`]).
//!
//! A stream socket. The request is [`REQUEST_BYTES`] bytes, little-endian:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | size in bytes, not 0 |
//! | 8 | 32 | label: printable ASCII, NUL padded, may be empty; for diagnostics only |
//!
//! The reply is one byte: 0 and one memfd of exactly that size, sealed with
//! `F_SEAL_SHRINK|F_SEAL_GROW|F_SEAL_SEAL` and not executable; or a Linux errno value
//! and no descriptor. Replies come in order, one per request.
//!
//! A malformed request is answered with `EINVAL`, after which the connection goes on:
//! the size of a request is fixed, so the next one starts at a known byte.

use std::fmt;

use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

#[cfg(test)]
mod tests;

/// The named context on which the memory server answers.
pub const MEMFD_CONTEXT: &str = "memfd";

/// Size of a request in bytes.
pub const REQUEST_BYTES: usize = 40;

/// Size of a reply in bytes (its descriptor travels beside it).
pub const REPLY_BYTES: usize = 1;

/// Longest label in bytes; the field may be filled to its end.
pub const MAX_LABEL_BYTES: usize = 32;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawRequest {
    size: U64,
    label: [u8; MAX_LABEL_BYTES],
}

const _: () = assert!(size_of::<RawRequest>() == REQUEST_BYTES);

/// What the memory is for, in the words of who asked: never trusted, only logged.
///
/// Up to 32 bytes of printable ASCII, so it can be written to a log as it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Label(String);

impl Label {
    /// A label from any text: what is not printable ASCII becomes `?`, what is too
    /// long is cut.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let printable = |c: char| if is_label_char(c) { c } else { '?' };
        Self(text.chars().map(printable).take(MAX_LABEL_BYTES).collect())
    }

    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_label_char(c: char) -> bool {
    c == ' ' || c.is_ascii_graphic()
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A request for memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemfdRequest {
    /// Wanted size in bytes, at least 1.
    pub size: u64,
    /// For diagnostics.
    pub label: Label,
}

impl MemfdRequest {
    /// The request's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; REQUEST_BYTES] {
        let mut raw = RawRequest {
            size: self.size.into(),
            label: [0; MAX_LABEL_BYTES],
        };
        for (to, from) in raw.label.iter_mut().zip(self.label.0.bytes()) {
            *to = from;
        }
        zerocopy::transmute!(raw)
    }

    /// Reads a request.
    ///
    /// # Errors
    ///
    /// [`MemfdRequestError`]; answer it with [`MemfdStatus::INVALID`].
    pub fn parse(bytes: &[u8; REQUEST_BYTES]) -> Result<Self, MemfdRequestError> {
        let raw: RawRequest = zerocopy::transmute!(*bytes);
        let size = raw.size.get();
        if size == 0 {
            return Err(MemfdRequestError::ZeroSize);
        }
        let end = raw.label.iter().position(|b| *b == 0);
        let (text, padding) = raw.label.split_at(end.unwrap_or(MAX_LABEL_BYTES));
        if padding.iter().any(|b| *b != 0) {
            return Err(MemfdRequestError::LabelPadding);
        }
        if !text.iter().all(|b| is_label_char(char::from(*b))) {
            return Err(MemfdRequestError::LabelCharacter);
        }
        let label = Label(text.iter().copied().map(char::from).collect());
        Ok(Self { size, label })
    }
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemfdRequestError {
    /// No memory was asked for.
    #[error("memory request for 0 bytes")]
    ZeroSize,
    /// Something follows the label's first NUL.
    #[error("memory request whose label is not NUL padded")]
    LabelPadding,
    /// The label has a byte that is not printable ASCII.
    #[error("memory request whose label is not printable ASCII")]
    LabelCharacter,
}

/// The status byte of a reply: 0, or a Linux errno value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemfdStatus(pub u8);

impl MemfdStatus {
    /// The descriptor is with this reply.
    pub const OK: Self = Self(0);
    /// The request is malformed (`EINVAL`).
    pub const INVALID: Self = Self(libc::EINVAL as u8);
    /// Beyond one of the VM's quotas (`EDQUOT`); unless it was the size of one piece,
    /// it is worth asking again when memory has been dropped.
    pub const QUOTA: Self = Self(libc::EDQUOT as u8);
    /// The host cannot give memory now (`ENOMEM`).
    pub const NO_MEMORY: Self = Self(libc::ENOMEM as u8);

    /// `Ok` for 0, the errno otherwise.
    ///
    /// # Errors
    ///
    /// The errno the server answered.
    pub fn into_result(self) -> Result<(), std::io::Error> {
        match self.0 {
            0 => Ok(()),
            errno => Err(std::io::Error::from_raw_os_error(errno.into())),
        }
    }
}

// A status is one byte; the values used must fit it.
const _: () = assert!(libc::EINVAL < 256 && libc::EDQUOT < 256 && libc::ENOMEM < 256);
