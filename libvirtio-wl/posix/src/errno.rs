//! The errno of an error.

use std::io::{Error, ErrorKind};

/// What a call of libc would set errno to.
///
/// Errors of the library that say more than a number have a kind; `EIO` is left for what cannot be.
pub fn errno(error: &Error) -> libc::c_int {
    error.raw_os_error().unwrap_or(match error.kind() {
        ErrorKind::InvalidInput => libc::EINVAL,
        ErrorKind::InvalidData => libc::EPROTO,
        ErrorKind::OutOfMemory => libc::ENOMEM,
        ErrorKind::TimedOut => libc::ETIMEDOUT,
        ErrorKind::Unsupported => libc::EOPNOTSUPP,
        _ => libc::EIO,
    })
}
