//! What the host says about a virtual machine: its name, its id and its colour.
//!
//! These are *host* knowledge. A label is read from the accept proxy's
//! configuration and travels to the compositor in an accept record
//! ([`crate::accept_record`]); no byte of it ever comes from an application's VM.

use std::fmt;
use std::str::FromStr;

#[cfg(test)]
mod tests;

/// Longest VM name in bytes: the accept record has 64 bytes for it and keeps one NUL.
pub const MAX_VM_NAME_BYTES: usize = 63;

/// The name of a virtual machine: 1 to 63 bytes of `[A-Za-z0-9._-]`.
///
/// The alphabet has no space, no control character and nothing beyond ASCII, so a
/// name can be drawn on a frame, written to a log or used as a file name without
/// escaping, and no two names look alike through Unicode tricks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "host", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "host", serde(try_from = "String", into = "String"))]
pub struct VmName(String);

impl VmName {
    /// Checks and takes a name.
    ///
    /// # Errors
    ///
    /// [`LabelError::NameLength`] outside 1 to [`MAX_VM_NAME_BYTES`] bytes,
    /// [`LabelError::NameCharacter`] for a byte outside the alphabet.
    pub fn new(name: impl Into<String>) -> Result<Self, LabelError> {
        let name = name.into();
        if name.is_empty() || name.len() > MAX_VM_NAME_BYTES {
            return Err(LabelError::NameLength { len: name.len() });
        }
        match name.bytes().position(|b| !is_name_byte(b)) {
            Some(at) => Err(LabelError::NameCharacter { at }),
            None => Ok(Self(name)),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

impl fmt::Display for VmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for VmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for VmName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for VmName {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        Self::new(text)
    }
}

impl TryFrom<String> for VmName {
    type Error = LabelError;

    fn try_from(text: String) -> Result<Self, LabelError> {
        Self::new(text)
    }
}

impl From<VmName> for String {
    fn from(name: VmName) -> Self {
        name.0
    }
}

/// Which VM a connection comes from, as the host numbers them.
///
/// Opaque: equal ids are the same VM for as long as the compositor's VM lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "host", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "host", serde(transparent))]
pub struct VmId(pub u32);

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A label colour, 24 bits: red, green and blue of 8 bits each, opaque, sRGB.
///
/// Written `#rrggbb`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "host", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "host", serde(try_from = "String", into = "String"))]
pub struct Colour(u32);

impl Colour {
    /// From the three components.
    #[must_use]
    pub const fn from_rgb(red: u8, green: u8, blue: u8) -> Self {
        Self(u32::from_be_bytes([0, red, green, blue]))
    }

    /// From `0x00RRGGBB`, the form of the accept record.
    ///
    /// # Errors
    ///
    /// [`LabelError::ColourRange`] when the top byte is not zero.
    pub const fn from_u32(value: u32) -> Result<Self, LabelError> {
        if value > 0x00ff_ffff {
            return Err(LabelError::ColourRange { value });
        }
        Ok(Self(value))
    }

    /// `0x00RRGGBB`.
    #[must_use]
    pub const fn to_u32(self) -> u32 {
        self.0
    }

    /// Red, green, blue.
    #[must_use]
    pub const fn to_rgb(self) -> [u8; 3] {
        let [_, red, green, blue] = self.0.to_be_bytes();
        [red, green, blue]
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:06x}", self.0)
    }
}

impl fmt::Debug for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Colour {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let digits = text.strip_prefix('#').ok_or(LabelError::ColourSyntax)?;
        // `from_str_radix` alone would take a sign.
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(LabelError::ColourSyntax);
        }
        u32::from_str_radix(digits, 16)
            .map(Self)
            .map_err(|_| LabelError::ColourSyntax)
    }
}

impl TryFrom<String> for Colour {
    type Error = LabelError;

    fn try_from(text: String) -> Result<Self, LabelError> {
        text.parse()
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        colour.to_string()
    }
}

/// Why a label was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// Empty or too long.
    #[error("a VM name has 1 to {MAX_VM_NAME_BYTES} bytes, not {len}")]
    NameLength {
        /// Bytes given.
        len: usize,
    },
    /// A byte outside `[A-Za-z0-9._-]`.
    #[error("a VM name is made of A-Z a-z 0-9 . _ - only (byte {at} is not)")]
    NameCharacter {
        /// Offset of the first such byte.
        at: usize,
    },
    /// More than 24 bits.
    #[error("colour {value:#010x} has more than 24 bits")]
    ColourRange {
        /// The value given.
        value: u32,
    },
    /// Not `#rrggbb`.
    #[error("a colour is written #rrggbb")]
    ColourSyntax,
}
