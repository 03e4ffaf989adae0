//! Errors of the public API.

use std::{io, path::PathBuf};

use crate::{
    address::AddressError,
    wire::{ContextName, NameError, PipeDirection},
};

/// Result of operations that are not modelled on a system call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
///
/// Operations with system call semantics ([`Channel::send`](crate::Channel::send) and the like)
/// return [`io::Error`] instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The device address is malformed.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The name cannot be that of a context.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The device cannot be opened.
    #[error("cannot open virtio_wl device {path}")]
    Open {
        /// Device node or vhost-user socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// This build or this device cannot do what was asked.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// A context cannot be connected to.
    #[error("cannot connect to context {name:?}")]
    Connect {
        /// The context.
        name: ContextName,
        /// Why; `ENODEV` when the host has no such context or nobody listens there.
        #[source]
        source: io::Error,
    },
    /// Shared memory cannot be allocated.
    #[error("cannot allocate {size} bytes of shared memory")]
    Allocate {
        /// Bytes asked for.
        size: u64,
        /// Why; `EDQUOT` when the guest's quota is used up.
        #[source]
        source: io::Error,
    },
    /// A pipe cannot be created.
    #[error("cannot create a pipe to {direction:?}")]
    Pipe {
        /// Which end was asked for.
        direction: PipeDirection,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The background thread cannot be started.
    #[error("cannot start the {0} thread")]
    Thread(&'static str, #[source] io::Error),
}

impl From<Error> for io::Error {
    /// Keeps the errno of the cause when there is one.
    fn from(error: Error) -> Self {
        let raw = match &error {
            Error::Open { source, .. }
            | Error::Connect { source, .. }
            | Error::Allocate { source, .. }
            | Error::Pipe { source, .. }
            | Error::Thread(_, source) => source.raw_os_error(),
            Error::Unsupported(_) => Some(libc::EOPNOTSUPP),
            Error::Address(_) | Error::Name(_) => Some(libc::EINVAL),
        };
        match raw {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::Error::other(error),
        }
    }
}
