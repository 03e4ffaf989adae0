//! The one unsafe step the host helpers need.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Takes ownership of descriptors that a `recvmsg` has just put into this process.
///
/// To be called once with what one `SCM_RIGHTS` message of a fresh `recvmsg` holds.
pub(in crate::host) fn take_received(fds: Vec<RawFd>) -> impl Iterator<Item = OwnedFd> {
    fds.into_iter().map(|fd| {
        // SAFETY: the kernel has just installed this descriptor for this `recvmsg`,
        // and nothing else in the process knows its number.
        unsafe { OwnedFd::from_raw_fd(fd) }
    })
}
