//! The system calls that need `unsafe`.
#![allow(unsafe_code)]

use std::{
    io::{self, IoSliceMut},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd},
};

use nix::{
    cmsg_space,
    sys::socket::{ControlMessageOwned, MsgFlags, recvmsg},
};
use vmm_sys_util::{eventfd::EventFd, timerfd::TimerFd};

/// What one `recvmsg` returned.
#[derive(Debug)]
pub(super) struct Received {
    /// Bytes; 0 is the end of the stream.
    pub(super) bytes: usize,
    /// The descriptor that came along, close-on-exec.
    pub(super) fd: Option<OwnedFd>,
    /// A descriptor came along but could not be installed: this process has no number left.
    pub(super) fd_lost: bool,
}

/// Receives without blocking, with at most one descriptor.
pub(super) fn receive_with_fd(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<Received> {
    let mut control = cmsg_space!([std::os::fd::RawFd; 1]);
    let mut iov = [IoSliceMut::new(bytes)];
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut iov,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let mut received = Received {
        bytes: message.bytes,
        fd: None,
        fd_lost: false,
    };
    let Ok(controls) = message.cmsgs() else {
        // Truncated, and there was room for the one descriptor that a request may carry.
        received.fd_lost = true;
        return Ok(received);
    };
    for control in controls {
        if let ControlMessageOwned::ScmRights(fds) = control {
            for fd in fds {
                // SAFETY: the kernel has just installed this descriptor for us, and nobody else
                // knows of it.
                received.fd = Some(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
    Ok(received)
}

/// The same eventfd in the type that the vhost crate asks for.
pub(super) fn vhost_eventfd(fd: impl AsFd) -> io::Result<EventFd> {
    let fd = fd.as_fd().try_clone_to_owned()?;
    // SAFETY: the descriptor is owned, and its ownership passes on.
    Ok(unsafe { EventFd::from_raw_fd(fd.into_raw_fd()) })
}

/// The descriptor of a timer.
pub(super) fn timer_fd(timer: &TimerFd) -> BorrowedFd<'_> {
    // SAFETY: open for as long as the timer is borrowed.
    unsafe { BorrowedFd::borrow_raw(timer.as_raw_fd()) }
}
