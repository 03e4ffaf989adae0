//! Everything that C hands in or gets back by pointer, converted here and nowhere else.
//!
//! NULL is found here; that a pointer which is not NULL points where its documentation says is the
//! caller's promise, as with libc.
#![allow(unsafe_code, reason = "C pointers")]

use std::{
    ffi::{CStr, c_char, c_void},
    ptr,
};

use libc::{iovec, msghdr, sockaddr, socklen_t};
use nix::errno::Errno;

use crate::failure::{Failure, Result};

/// Refuses NULL.
pub(crate) fn not_null<T>(pointer: *const T, name: &str) -> Result<()> {
    if pointer.is_null() {
        return Err(Failure::new(Errno::EFAULT, format!("{name} is NULL")));
    }
    Ok(())
}

/// A text of the caller.
///
/// # Safety
///
/// Unless NULL, it is NUL-terminated and stays as it is while the result lives.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    not_null(pointer, name)?;
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str()
        .map_err(|_| Failure::new(Errno::EINVAL, format!("{name} is not UTF-8")))
}

/// A message of one buffer, without control data.
///
/// The buffer is as writable as `data` was.
pub(crate) fn one_buffer(data: *const c_void, len: usize) -> Result<iovec> {
    // NULL has room for nothing, which is all that is asked of it then.
    if len > 0 {
        not_null(data, "the buffer")?;
    }
    Ok(iovec {
        iov_base: data.cast_mut(),
        iov_len: len,
    })
}

/// A message of the buffers in `iov`, without control data.
pub(crate) fn message(iov: &mut [iovec]) -> msghdr {
    // SAFETY: a plain structure of C for which all zeros mean "nothing".
    let mut message: msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = iov.as_mut_ptr();
    // size_t with glibc, int with musl.
    message.msg_iovlen = iov.len() as _;
    message
}

/// Tells where a peer's address should be that there is none, as accept(2) does for a client that has
/// not bound its socket.
///
/// # Safety
///
/// Unless NULL, `len` can be read and written, and `address` written for the bytes `len` says.
pub(crate) unsafe fn store_unnamed(address: *mut sockaddr, len: *mut socklen_t) {
    if address.is_null() || len.is_null() {
        return;
    }
    let family = (libc::AF_UNIX as libc::sa_family_t).to_ne_bytes();
    // SAFETY: the caller's promise; the copy is no longer than it said there is room for.
    unsafe {
        let room = usize::try_from(*len).unwrap_or(0).min(family.len());
        ptr::copy_nonoverlapping(family.as_ptr(), address.cast(), room);
        *len = family.len() as socklen_t;
    }
}

/// Reads the `u32` a structure begins with: its size, as its caller knows it.
///
/// # Safety
///
/// Unless NULL, it points to one.
pub(crate) unsafe fn size_field<T>(structure: *const T, name: &str) -> Result<usize> {
    not_null(structure, name)?;
    // SAFETY: the caller's promise.
    let size = unsafe { structure.cast::<u32>().read_unaligned() };
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

/// Writes as much of `value` as a caller's structure of `size` bytes has, and zeros into what it has
/// beyond that.
///
/// # Safety
///
/// `to` is not NULL and can be written for `size` bytes. `T` has no padding.
pub(crate) unsafe fn store_versioned<T: Copy>(value: &T, to: *mut T, size: usize) {
    let known = size_of::<T>().min(size);
    let to = to.cast::<u8>();
    // SAFETY: the caller's promise; both copies stay below `size`.
    unsafe {
        ptr::copy_nonoverlapping(ptr::from_ref(value).cast(), to, known);
        ptr::write_bytes(to.add(known), 0, size - known);
    }
}
