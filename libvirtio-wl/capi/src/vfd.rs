//! What a descriptor is, and whether calls on it wait.
#![allow(unsafe_code, reason = "exported symbols")]

use std::{
    ffi::c_int,
    os::fd::{BorrowedFd, IntoRawFd, OwnedFd},
};

use nix::errno::Errno;

use crate::{
    entry::entry,
    failure::{Failure, Result},
};

/// Lends a number of the caller's to `body` as a descriptor.
pub(crate) fn with_fd<T>(fd: c_int, body: impl FnOnce(BorrowedFd<'_>) -> Result<T>) -> Result<T> {
    if fd < 0 {
        return Err(Failure::new(Errno::EBADF, format!("{fd} is no descriptor")));
    }
    // SAFETY: the number is used during this call only, and every use of it is a system call that
    // finds by itself that it is not open. That nobody closes it meanwhile is up to the caller, as
    // with every call of libc.
    body(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Gives a descriptor to the caller.
pub(crate) fn give(fd: OwnedFd) -> c_int {
    fd.into_raw_fd()
}

/// virtio_wl_is_vfd - whether a descriptor is one of virtio_wl
///
/// fd: any descriptor. Duplicates of a VFD are that VFD.
///
/// The device is not opened for this: where it has never been used nothing is a VFD but what the
/// guest kernel's driver says is one.
///
/// Returns 1 for a VFD, which is a connection, a listener, memory or an end of a pipe; 0 for anything
/// else. On failure -1, and errno is
/// - EBADF: fd is not open.
#[unsafe(no_mangle)]
pub extern "C" fn virtio_wl_is_vfd(fd: c_int) -> c_int {
    entry(|| {
        let kind = with_fd(fd, |fd| Ok(virtio_wl_posix::kind(fd)?))?;
        Ok(c_int::from(kind.is_some()))
    })
}

/// virtio_wl_set_nonblock - whether calls on a VFD wait
///
/// fd: a connection, a listener or an end of a pipe, from virtio_wl_connect(), virtio_wl_listen(),
/// virtio_wl_accept4(), virtio_wl_pipe2() or virtio_wl_recvmsg() of this process.
///
/// on: not 0 for non-blocking mode: calls that would have to wait fail with EAGAIN.
///
/// This is what O_NONBLOCK is for a socket. That flag itself is always set on VFDs, so that nothing
/// waits where it cannot be ended, and says nothing about the functions of this library. Duplicates
/// agree.
///
/// Returns 0. On failure -1, and errno is
/// - EBADF: fd is not open;
/// - ENOTSOCK: fd is none of the above.
#[unsafe(no_mangle)]
pub extern "C" fn virtio_wl_set_nonblock(fd: c_int, on: c_int) -> c_int {
    entry(|| {
        with_fd(fd, |fd| Ok(virtio_wl_posix::set_nonblocking(fd, on != 0)?))?;
        Ok(0)
    })
}
