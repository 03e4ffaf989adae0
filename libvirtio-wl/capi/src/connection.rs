//! Connections, by name and by announcement.
#![allow(unsafe_code, reason = "exported symbols")]

use std::ffi::{c_char, c_int};

use libc::{sockaddr, socklen_t};
use nix::errno::Errno;
use virtio_wl_posix::AcceptFlags;

use crate::{
    entry::entry,
    failure::{Failure, Result},
    pointer,
    vfd::{give, with_fd},
};

/// virtio_wl_connect - connect to a context of the host
///
/// name: the context, NUL-terminated UTF-8 of at most 32 bytes; "" is the default one.
///
/// The first function that needs it opens the device that the environment variable VIRTIO_WL_DEVICE
/// names, /dev/wl0 when it is unset or empty, for all of the process and until its end.
///
/// Returns a connection: a descriptor, close-on-exec and in blocking mode, that the caller closes. On
/// failure -1, and errno is
/// - EFAULT: name is NULL;
/// - EINVAL: name is too long, not UTF-8, or VIRTIO_WL_DEVICE is malformed;
/// - EMFILE: too many descriptors are open in this process;
/// - ENODEV: the host has no such context, or nobody listens behind it; or the device is gone, or
///   this process was forked from the one that opened an embedded device;
/// - ENOENT, ECONNREFUSED and others of open(2) or connect(2): the device cannot be opened;
/// - ENOSPC: too many VFDs are open in this virtual machine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn virtio_wl_connect(name: *const c_char) -> c_int {
    entry(|| {
        // SAFETY: the caller's string, used during this call only.
        let name = unsafe { pointer::text(name, "name") }?;
        Ok(give(virtio_wl_posix::connect(name)?))
    })
}

/// virtio_wl_listen - open a context on which the host announces connections
///
/// name: the context, as for virtio_wl_connect(); the host's accept proxy uses "wl-accept".
///
/// Connections may have been waiting from before this call. Only one listener of a context should be
/// open in a virtual machine: each connection is announced to one of them.
///
/// Returns a listener: a descriptor, close-on-exec and in blocking mode, that the caller closes. It
/// is readable while connections wait. On failure -1, and errno is one of virtio_wl_connect(): EFAULT,
/// EINVAL, EMFILE, ENODEV, ENOENT, ENOSPC among them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn virtio_wl_listen(name: *const c_char) -> c_int {
    entry(|| {
        // SAFETY: the caller's string, used during this call only.
        let name = unsafe { pointer::text(name, "name") }?;
        Ok(give(virtio_wl_posix::listen(name)?))
    })
}

/// virtio_wl_accept4 - accept a connection, as accept4(2)
///
/// fd: a listener.
///
/// addr, addrlen: both NULL, or where the peer's address goes and in and out its size in bytes. VFDs
/// have no addresses, so it is an AF_UNIX address without a name: two bytes. Who connects says
/// virtio_wl_accept_peer().
///
/// flags: 0, or any of SOCK_CLOEXEC and SOCK_NONBLOCK.
///
/// Takes exactly one connection and waits for one when there is none, unless the listener is in
/// non-blocking mode (virtio_wl_set_nonblock()). Connections that have gone meanwhile are passed over.
///
/// Returns a connection that the caller closes. On failure -1, and errno is
/// - EAGAIN: no connection waits and the listener is in non-blocking mode;
/// - EBADF: fd is not open;
/// - EFAULT: addr is given without addrlen;
/// - EINVAL: unknown flags, or fd is a VFD but no listener;
/// - EMFILE: too many descriptors are open in this process; the connection is kept for the next call;
/// - ENODEV: this process was forked from the one that opened an embedded device;
/// - ENOSPC: too many VFDs are open in this virtual machine; the connection is kept for the next call;
/// - ENOTCONN: the host has ended the listener, which stays readable: close it;
/// - ENOTSOCK: fd is no VFD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn virtio_wl_accept4(
    fd: c_int,
    addr: *mut sockaddr,
    addrlen: *mut socklen_t,
    flags: c_int,
) -> c_int {
    entry(|| {
        if !addr.is_null() {
            pointer::not_null(addrlen, "addrlen")?;
        }
        let flags = accept_flags(flags)?;
        let (accepted, _) = with_fd(fd, |fd| Ok(virtio_wl_posix::accept(fd, flags)?))?;
        // SAFETY: the caller's address and its size, of which NULL was refused.
        unsafe { pointer::store_unnamed(addr, addrlen) };
        Ok(give(accepted))
    })
}

fn accept_flags(flags: c_int) -> Result<AcceptFlags> {
    let mut ours = AcceptFlags::empty();
    ours.set(AcceptFlags::CLOEXEC, flags & libc::SOCK_CLOEXEC != 0);
    ours.set(AcceptFlags::NONBLOCK, flags & libc::SOCK_NONBLOCK != 0);
    if flags & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) != 0 {
        let detail = "flags has more than SOCK_CLOEXEC and SOCK_NONBLOCK";
        return Err(Failure::new(Errno::EINVAL, detail));
    }
    Ok(ours)
}
