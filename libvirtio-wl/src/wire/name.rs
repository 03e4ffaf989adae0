//! Names of contexts.

use std::{fmt, str::FromStr};

use crate::limits::CONTEXT_NAME_SIZE;

/// The name of a context: up to 32 bytes of UTF-8 without NUL.
///
/// The empty name is the default context, the one VFD_NEW_CTX opens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ContextName {
    /// NUL padded, as on the wire: the padding is the only place with NULs.
    bytes: [u8; CONTEXT_NAME_SIZE],
}

/// Why a text cannot name a context.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It does not fit the field.
    #[error("context name of {0} bytes is longer than {CONTEXT_NAME_SIZE}")]
    TooLong(usize),
    /// It contains a NUL, which ends a name on the wire.
    #[error("context name contains a NUL byte")]
    Nul,
    /// It is not UTF-8.
    #[error("context name is not UTF-8")]
    NotUtf8,
}

impl ContextName {
    /// The default context.
    pub const DEFAULT: Self = Self {
        bytes: [0; CONTEXT_NAME_SIZE],
    };

    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.len() > CONTEXT_NAME_SIZE {
            return Err(NameError::TooLong(name.len()));
        }
        if name.as_bytes().contains(&0) {
            return Err(NameError::Nul);
        }
        let mut bytes = [0; CONTEXT_NAME_SIZE];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Ok(Self { bytes })
    }

    /// Reads the field of a message: everything before the first NUL.
    ///
    /// Bytes behind that NUL are ignored, because a C caller may leave anything there.
    pub fn from_wire(field: &[u8; CONTEXT_NAME_SIZE]) -> Result<Self, NameError> {
        let end = field
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(field.len());
        let name = std::str::from_utf8(&field[..end]).map_err(|_| NameError::NotUtf8)?;
        Self::new(name)
    }

    /// The NUL-padded field of a message.
    pub const fn to_wire(&self) -> [u8; CONTEXT_NAME_SIZE] {
        self.bytes
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        let end = self
            .bytes
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(self.bytes.len());
        // Both constructors take UTF-8 only, and NUL is no part of a longer character.
        std::str::from_utf8(&self.bytes[..end]).unwrap_or_default()
    }

    /// Whether this is the default context.
    pub fn is_default(&self) -> bool {
        self.bytes[0] == 0
    }
}

impl FromStr for ContextName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl AsRef<str> for ContextName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for ContextName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for ContextName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
