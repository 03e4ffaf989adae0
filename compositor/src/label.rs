//! The name and colour a VM's windows carry: host knowledge, never a client's.

use std::fmt;
use std::str::FromStr;

/// Longest VM name in bytes (the field of the accept record is NUL padded to 64).
pub const MAX_NAME: usize = 63;

/// A VM's name: `[A-Za-z0-9._-]{1,63}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmName(String);

/// A label colour, `0x00RRGGBB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour(pub u32);

/// A name or colour that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Not `[A-Za-z0-9._-]{1,63}`.
    #[error("vm name must be 1 to {MAX_NAME} characters of A-Z a-z 0-9 . _ -")]
    Name,
    /// Not `#rrggbb`.
    #[error("colour must be written #rrggbb")]
    Colour,
}

impl VmName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VmName {
    type Err = LabelError;

    fn from_str(s: &str) -> Result<Self, LabelError> {
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if (1..=MAX_NAME).contains(&s.len()) && s.bytes().all(ok) {
            Ok(Self(s.to_owned()))
        } else {
            Err(LabelError::Name)
        }
    }
}

impl fmt::Display for VmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Colour {
    type Err = LabelError;

    fn from_str(s: &str) -> Result<Self, LabelError> {
        let digits = s.strip_prefix('#').ok_or(LabelError::Colour)?;
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(LabelError::Colour);
        }
        u32::from_str_radix(digits, 16)
            .map(Self)
            .map_err(|_| LabelError::Colour)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:06x}", self.0)
    }
}
