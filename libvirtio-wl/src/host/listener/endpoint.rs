//! Where a VM's clients connect, as configuration files say it.

use std::path::PathBuf;

use super::{Activated, ListenError, Listener, Mode, Owner};
use crate::label::VmName;

/// The listening socket that stands for a VM.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Where to listen, unless the service manager does.
    pub path: Option<PathBuf>,
    /// Mode of the socket's file.
    pub mode: Mode,
    /// Owner of the socket's file.
    pub owner: Option<Owner>,
}

impl Endpoint {
    /// The socket of that VM's name from the service manager, or else one of our own.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::listen`].
    pub fn open(&self, vm: &VmName, activated: &mut Activated) -> Result<Listener, ListenError> {
        match activated.take(vm.as_str()) {
            Some(listener) => Ok(listener),
            None => self.listen(vm),
        }
    }

    /// A socket of our own.
    ///
    /// # Errors
    ///
    /// There is no path, or [`Listener::bind`] fails.
    pub fn listen(&self, vm: &VmName) -> Result<Listener, ListenError> {
        match &self.path {
            Some(path) => Listener::bind(path, self.mode, self.owner),
            None => Err(ListenError::NoPath(vm.clone())),
        }
    }

    /// Whether a socket made for `self` may stay when the configuration now says `new`.
    /// One inherited from the service manager has no path, and stays.
    pub fn still_serves(&self, new: &Self) -> bool {
        new.path.is_none() || self == new
    }
}
