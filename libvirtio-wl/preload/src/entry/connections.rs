//! Listening, accepting, and what can be asked of a socket.
#![allow(unsafe_code)]

use std::{
    ffi::{c_int, c_void},
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use libc::{EMFILE, ENFILE, ENOTSOCK, sockaddr, socklen_t};
use nix::errno::Errno;
use virtio_wl::VfdKind;

use crate::{
    boundary,
    listening::{self, Listening},
    options, presence, real, takeover,
};

/// # Safety
///
/// As listen(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn listen(fd: c_int, backlog: c_int) -> c_int {
    let before = Errno::last_raw();
    // SAFETY: as the caller's.
    let result = unsafe { real::listen(fd, backlog) };
    if result == 0 {
        boundary::besides(|| takeover::consider(fd));
        return result;
    }
    otherwise(result, before, || {
        of_local(fd, |local| {
            // SAFETY: two integers.
            unsafe { real::listen(local, backlog) }
        })
    })
}

/// # Safety
///
/// As accept(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn accept(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int {
    // SAFETY: as the caller's.
    unsafe { accept4(fd, addr, len, 0) }
}

/// # Safety
///
/// As accept4(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(
    fd: c_int,
    addr: *mut sockaddr,
    len: *mut socklen_t,
    flags: c_int,
) -> c_int {
    let before = Errno::last_raw();
    // SAFETY: as the caller's.
    let result = unsafe { real::accept4(fd, addr, len, flags) };
    // Linux looks for a free number before it looks at what it is to accept from, and connections of
    // other VMs have theirs already.
    if result >= 0 || !matches!(Errno::last_raw(), ENOTSOCK | EMFILE | ENFILE) {
        return result;
    }
    boundary::instead(before, || {
        let Some((set, listening)) = find(fd)? else {
            return Ok(None);
        };
        // SAFETY: the address is the caller's.
        unsafe { listening.accept(set, (addr, len), flags) }.map(Some)
    })
}

/// # Safety
///
/// As getsockopt(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    let before = Errno::last_raw();
    // SAFETY: as the caller's.
    let result = unsafe { real::getsockopt(fd, level, name, value, len) };
    otherwise(result, before, || {
        let answer = match find(fd)? {
            Some((_, listening)) => match listening.local() {
                Some(local) => {
                    let local = local.as_raw_fd();
                    // SAFETY: as the caller's.
                    return status(unsafe { real::getsockopt(local, level, name, value, len) });
                }
                None => options::of_listener(level, name)?,
            },
            None if is_connection(fd)? => options::of_connection(level, name)?,
            None => return Ok(None),
        };
        // SAFETY: value and length are the caller's.
        unsafe { answer.store(value, len) }.map(|()| Some(0))
    })
}

/// # Safety
///
/// As setsockopt(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> c_int {
    let before = Errno::last_raw();
    // SAFETY: as the caller's.
    let result = unsafe { real::setsockopt(fd, level, name, value, len) };
    otherwise(result, before, || match find(fd)? {
        Some((_, listening)) => match listening.local() {
            Some(local) => {
                // SAFETY: as the caller's.
                status(unsafe { real::setsockopt(local.as_raw_fd(), level, name, value, len) })
            }
            None => options::set(level, name).map(|()| Some(0)),
        },
        None if is_connection(fd)? => options::set(level, name).map(|()| Some(0)),
        None => Ok(None),
    })
}

/// # Safety
///
/// As getpeername(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn getpeername(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int {
    let before = Errno::last_raw();
    // SAFETY: as the caller's.
    let result = unsafe { real::getpeername(fd, addr, len) };
    otherwise(result, before, || match find(fd)? {
        Some(_) => Err(Errno::ENOTCONN.into()),
        None if is_connection(fd)? => {
            // SAFETY: the address is the caller's.
            unsafe { listening::store_unnamed(addr, len) }.map(|()| Some(0))
        }
        None => Ok(None),
    })
}

/// # Safety
///
/// As getsockname(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockname(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int {
    let before = Errno::last_raw();
    // SAFETY: as the caller's.
    let result = unsafe { real::getsockname(fd, addr, len) };
    otherwise(result, before, || {
        let found = find(fd)?;
        if let Some(local) = found.as_ref().and_then(|(_, listening)| listening.local()) {
            // SAFETY: as the caller's.
            return status(unsafe { real::getsockname(local.as_raw_fd(), addr, len) });
        }
        if found.is_none() && !is_connection(fd)? {
            return Ok(None);
        }
        // SAFETY: the address is the caller's.
        unsafe { listening::store_unnamed(addr, len) }.map(|()| Some(0))
    })
}

/// One direction of a connection alone cannot be closed: `EOPNOTSUPP`.
///
/// # Safety
///
/// As shutdown(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    let before = Errno::last_raw();
    // SAFETY: two integers.
    let result = unsafe { real::shutdown(fd, how) };
    otherwise(result, before, || {
        // SAFETY: two integers.
        let of_listener = of_local(fd, |local| unsafe { real::shutdown(local, how) })?;
        match of_listener {
            None if is_connection(fd)? => Err(Errno::EOPNOTSUPP.into()),
            other => Ok(other),
        }
    })
}

/// What libc said of a socket, or else what `call` says; `None`: that libc was right.
#[inline]
fn otherwise(
    result: c_int,
    before: c_int,
    call: impl FnOnce() -> io::Result<Option<c_int>>,
) -> c_int {
    if result >= 0 || Errno::last_raw() != ENOTSOCK {
        return result;
    }
    boundary::instead(before, call)
}

/// A descriptor that the caller of this library has named, for as long as its call.
fn borrowed<'a>(fd: c_int) -> io::Result<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(Errno::EBADF.into());
    }
    // SAFETY: not negative. Should it be closed meanwhile, calls on it fail as the caller's own would.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

fn find<'a>(fd: c_int) -> io::Result<Option<(BorrowedFd<'a>, std::sync::Arc<Listening>)>> {
    let set = borrowed(fd)?;
    Ok(listening::find(set).map(|listening| (set, listening)))
}

fn is_connection(fd: c_int) -> io::Result<bool> {
    Ok(
        presence::device_is_open()
            && virtio_wl_posix::kind(borrowed(fd)?)? == Some(VfdKind::Socket),
    )
}

/// Asks the socket for local clients that a listener of ours has.
fn of_local(fd: c_int, call: impl FnOnce(c_int) -> c_int) -> io::Result<Option<c_int>> {
    match find(fd)? {
        Some((_, listening)) => match listening.local() {
            Some(local) => status(call(local.as_raw_fd())),
            None => Ok(Some(0)),
        },
        None => Ok(None),
    }
}

/// The result of a call of libc.
fn status(result: c_int) -> io::Result<Option<c_int>> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Some(result))
}
