//! The embedded driver: this process is the guest, over vhost-user.

use std::path::Path;

use crate::error::{Error, Result};

/// A connection to a device as its guest.
#[derive(Debug)]
pub(crate) struct UserDriver;

impl UserDriver {
    /// Connects to the vhost-user socket of a device.
    pub(crate) fn connect(_path: &Path) -> Result<Self> {
        Err(Error::Unsupported("the embedded driver"))
    }
}
