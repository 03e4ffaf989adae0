//! Taking over the server's listening socket.
//!
//! Inside of listen(2), that is after bind(2) and before any event loop has duplicated the number, an
//! epoll set takes the socket's place; see [`listening`](crate::listening). The socket goes on as one
//! of its members, so that local clients are served beside those of other VMs.
#![allow(unsafe_code)]

use std::{
    ffi::c_int,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
};

use crate::listening::{Listening, duplicate};

mod acceptor;
mod environment;
mod labels;
mod retry;
mod socket;

use environment::Wanted;
use labels::Labels;

/// Done once: a second listener would take half of the connections.
static DONE: AtomicBool = AtomicBool::new(false);

/// Takes `fd` over, on which listen(2) has succeeded, if it is the one the user has named.
pub(crate) fn consider(fd: c_int) {
    if DONE.load(Ordering::Relaxed) {
        return;
    }
    let Some(wanted) = Wanted::from_env() else {
        return;
    };
    // SAFETY: listen(2) has succeeded on it, so that it is open for as long as the caller's call.
    let listener = unsafe { BorrowedFd::borrow_raw(fd) };
    let Some(path) = socket::listening_path(listener) else {
        return;
    };
    if !wanted.is(&path) || DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    // What main would do in a program of ours.
    virtio_wl::program::log("virtio_wl=warn,virtio_wl_preload=info");
    match take(listener, &path) {
        Ok(()) => {
            tracing::info!(socket = %path.display(), "serves clients of other VMs, too");
            environment::hide_from_children();
        }
        Err(error) => {
            tracing::error!(socket = %path.display(), "cannot serve clients of other VMs: {error}");
        }
    }
}

/// Local clients go on being served should this fail.
fn take(listener: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let descriptor = FdFlag::from_bits_retain(fcntl(listener, FcntlArg::F_GETFD)?);
    let status = OFlag::from_bits_retain(fcntl(listener, FcntlArg::F_GETFL)?);
    let (listening, set) = Listening::new(Some(duplicate(listener)?))?;
    fcntl(&set, FcntlArg::F_SETFL(status & OFlag::O_NONBLOCK))?;
    let labels = Labels::new(std::path::absolute(path)?, listening);
    acceptor::spawn(environment::context(), labels)?;
    replace(listener, set.as_fd(), descriptor)
}

/// Gives the number of `old` to what `new` is.
fn replace(old: BorrowedFd<'_>, new: BorrowedFd<'_>, flags: FdFlag) -> io::Result<()> {
    let flags = if flags.contains(FdFlag::FD_CLOEXEC) {
        libc::O_CLOEXEC
    } else {
        0
    };
    // SAFETY: `old` is the caller's, who goes on owning what has its number.
    let result = unsafe { libc::dup3(new.as_raw_fd(), old.as_raw_fd(), flags) };
    Errno::result(result)?;
    Ok(())
}
