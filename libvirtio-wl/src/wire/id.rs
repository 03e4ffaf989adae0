//! VFD ids.

use std::fmt;

use super::ParseError;
use crate::limits::{HOST_ID_BIT, ILLEGAL_ID_BIT};

/// The id of a VFD: never 0, never with bit 31 set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VfdId(u32);

impl VfdId {
    /// Checks an id of either origin.
    pub const fn new(raw: u32) -> Result<Self, ParseError> {
        if raw == 0 || raw & ILLEGAL_ID_BIT != 0 {
            return Err(ParseError::BadId(raw));
        }
        Ok(Self(raw))
    }

    /// Checks an id that the guest must have allocated.
    pub const fn guest(raw: u32) -> Result<Self, ParseError> {
        if raw & HOST_ID_BIT != 0 {
            return Err(ParseError::BadId(raw));
        }
        Self::new(raw)
    }

    /// Checks an id that the device must have allocated.
    pub const fn host(raw: u32) -> Result<Self, ParseError> {
        if raw & HOST_ID_BIT == 0 {
            return Err(ParseError::BadId(raw));
        }
        Self::new(raw)
    }

    /// The number on the wire.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether the device allocated it.
    pub const fn is_host(self) -> bool {
        self.0 & HOST_ID_BIT != 0
    }
}

impl fmt::Debug for VfdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VfdId({self})")
    }
}

impl fmt::Display for VfdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
