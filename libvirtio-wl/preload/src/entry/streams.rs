//! Sending and receiving.
//!
//! libc first. Whatever is no socket it refuses with `ENOTSOCK`, and only then is the descriptor
//! looked at: for an ordinary socket the whole difference is one comparison.
#![allow(unsafe_code)]

use std::{
    ffi::{c_int, c_void},
    io,
};

use libc::{ENOTSOCK, iovec, msghdr, size_t, sockaddr, socklen_t, ssize_t};
use nix::errno::Errno;
use virtio_wl_posix::ReceivedPipes;

use crate::{boundary, presence, real};

/// # Safety
///
/// As sendmsg(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn sendmsg(fd: c_int, msg: *const msghdr, flags: c_int) -> ssize_t {
    let before = Errno::last_raw();
    // SAFETY: as the caller's.
    let result = unsafe { real::sendmsg(fd, msg, flags) };
    // SAFETY: as the caller's.
    otherwise(result, before, || unsafe { send_vfd(fd, msg, flags) })
}

/// # Safety
///
/// As send(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn send(fd: c_int, buf: *const c_void, len: size_t, flags: c_int) -> ssize_t {
    let before = Errno::last_raw();
    // SAFETY: as the caller's.
    let result = unsafe { real::send(fd, buf, len, flags) };
    otherwise(result, before, || {
        let mut iov = iovec {
            iov_base: buf.cast_mut(),
            iov_len: len,
        };
        let message = message(&mut iov);
        // SAFETY: the message has the caller's buffer and nothing else, and is only read.
        unsafe { send_vfd(fd, &raw const message, flags) }
    })
}

/// # Safety
///
/// As sendto(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn sendto(
    fd: c_int,
    buf: *const c_void,
    len: size_t,
    flags: c_int,
    addr: *const sockaddr,
    addr_len: socklen_t,
) -> ssize_t {
    let before = Errno::last_raw();
    // SAFETY: as the caller's.
    let result = unsafe { real::sendto(fd, buf, len, flags, addr, addr_len) };
    otherwise(result, before, || {
        let mut iov = iovec {
            iov_base: buf.cast_mut(),
            iov_len: len,
        };
        let mut message = message(&mut iov);
        message.msg_name = addr.cast_mut().cast();
        message.msg_namelen = addr_len;
        // SAFETY: as in `send`; the address is the caller's.
        unsafe { send_vfd(fd, &raw const message, flags) }
    })
}

/// # Safety
///
/// As recvmsg(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn recvmsg(fd: c_int, msg: *mut msghdr, flags: c_int) -> ssize_t {
    let before = Errno::last_raw();
    // SAFETY: as the caller's.
    let result = unsafe { real::recvmsg(fd, msg, flags) };
    // SAFETY: as the caller's.
    otherwise(result, before, || unsafe { recv_vfd(fd, msg, flags) })
}

/// # Safety
///
/// As recv(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
    let before = Errno::last_raw();
    // SAFETY: as the caller's.
    let result = unsafe { real::recv(fd, buf, len, flags) };
    // SAFETY: the buffer is the caller's.
    otherwise(result, before, || unsafe {
        recv_bytes(fd, buf, len, flags)
    })
}

/// What `recv` becomes with `_FORTIFY_SOURCE`.
///
/// # Safety
///
/// As recv(2); `room` is the size of the buffer.
#[unsafe(no_mangle)]
unsafe extern "C" fn __recv_chk(
    fd: c_int,
    buf: *mut c_void,
    len: size_t,
    room: size_t,
    flags: c_int,
) -> ssize_t {
    let before = Errno::last_raw();
    // SAFETY: as the caller's. It does not return when the buffer is too small.
    let result = unsafe { real::__recv_chk(fd, buf, len, room, flags) };
    // SAFETY: the buffer is the caller's.
    otherwise(result, before, || unsafe {
        recv_bytes(fd, buf, len, flags)
    })
}

/// # Safety
///
/// As recvfrom(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn recvfrom(
    fd: c_int,
    buf: *mut c_void,
    len: size_t,
    flags: c_int,
    addr: *mut sockaddr,
    addr_len: *mut socklen_t,
) -> ssize_t {
    let before = Errno::last_raw();
    // SAFETY: as the caller's.
    let result = unsafe { real::recvfrom(fd, buf, len, flags, addr, addr_len) };
    // SAFETY: buffer and address are the caller's.
    otherwise(result, before, || unsafe {
        recv_from(fd, (buf, len), flags, (addr, addr_len))
    })
}

/// What `recvfrom` becomes with `_FORTIFY_SOURCE`.
///
/// # Safety
///
/// As recvfrom(2); `room` is the size of the buffer.
#[unsafe(no_mangle)]
unsafe extern "C" fn __recvfrom_chk(
    fd: c_int,
    buf: *mut c_void,
    len: size_t,
    room: size_t,
    flags: c_int,
    addr: *mut sockaddr,
    addr_len: *mut socklen_t,
) -> ssize_t {
    let before = Errno::last_raw();
    // SAFETY: as the caller's. It does not return when the buffer is too small.
    let result = unsafe { real::__recvfrom_chk(fd, buf, len, room, flags, addr, addr_len) };
    // SAFETY: buffer and address are the caller's.
    otherwise(result, before, || unsafe {
        recv_from(fd, (buf, len), flags, (addr, addr_len))
    })
}

/// What libc said of a socket, or else what `call` says of a VFD.
#[inline]
fn otherwise(result: ssize_t, before: c_int, call: impl FnOnce() -> io::Result<usize>) -> ssize_t {
    if result >= 0 || Errno::last_raw() != ENOTSOCK || !presence::device_is_open() {
        return result;
    }
    boundary::instead(before, || {
        // No buffer is longer than that.
        call().map(|count| Some(ssize_t::try_from(count).unwrap_or(ssize_t::MAX)))
    })
}

unsafe fn send_vfd(fd: c_int, msg: *const msghdr, flags: c_int) -> io::Result<usize> {
    // libwayland closes clients that do not take as much as a socket holds.
    // SAFETY: as the caller's.
    unsafe { virtio_wl_posix::sendmsg_buffered(fd, msg, flags) }
}

unsafe fn recv_vfd(fd: c_int, msg: *mut msghdr, flags: c_int) -> io::Result<usize> {
    // Compositors write to the pipes they are given, poll them and pass them on.
    // SAFETY: as the caller's.
    unsafe { virtio_wl_posix::recvmsg(fd, msg, flags, ReceivedPipes::Carried) }
}

/// Receives bytes alone; descriptors that came with them are closed.
unsafe fn recv_bytes(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> io::Result<usize> {
    let mut iov = iovec {
        iov_base: buf,
        iov_len: len,
    };
    let mut message = message(&mut iov);
    // SAFETY: the message has the caller's buffer and nothing else.
    unsafe { recv_vfd(fd, &raw mut message, flags) }
}

unsafe fn recv_from(
    fd: c_int,
    (buf, len): (*mut c_void, size_t),
    flags: c_int,
    (addr, addr_len): (*mut sockaddr, *mut socklen_t),
) -> io::Result<usize> {
    // SAFETY: as the caller's.
    let count = unsafe { recv_bytes(fd, buf, len, flags) }?;
    if !addr.is_null() && !addr_len.is_null() {
        // As of a stream socket: there is no address.
        // SAFETY: the caller has room for one there.
        unsafe { addr_len.write(0) };
    }
    Ok(count)
}

/// A message of one buffer.
fn message(iov: &mut iovec) -> msghdr {
    // SAFETY: all zero, it has neither buffers nor an address.
    let mut message: msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = iov;
    message.msg_iovlen = 1;
    message
}
