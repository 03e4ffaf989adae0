//! What a listening socket is.
#![allow(unsafe_code)]

use std::{
    ffi::OsStr,
    mem,
    os::{
        fd::{AsRawFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use libc::{AF_UNIX, SOCK_STREAM, sa_family_t, sockaddr_un, socklen_t};
use nix::sys::socket::{getsockopt, sockopt::SockType};

use crate::real;

/// The path of a stream socket of the Unix family; `None` for every other socket.
pub(super) fn listening_path(socket: BorrowedFd<'_>) -> Option<PathBuf> {
    let kind = getsockopt(&socket, SockType).ok()?;
    if kind as i32 != SOCK_STREAM {
        return None;
    }
    // SAFETY: all zero is an address without a family.
    let mut address: sockaddr_un = unsafe { mem::zeroed() };
    let mut len = mem::size_of::<sockaddr_un>() as socklen_t;
    // SAFETY: the address has room for `len` bytes.
    let result =
        unsafe { real::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut len) };
    if result != 0 || address.sun_family != AF_UNIX as sa_family_t {
        return None;
    }
    let len = usize::try_from(len).ok()?;
    let end = len.saturating_sub(mem::offset_of!(sockaddr_un, sun_path));
    let path = address.sun_path.get(..end)?;
    // Abstract names begin with NUL, others may end with it.
    let bytes: Vec<u8> = path
        .iter()
        .map(|&byte| byte.cast_unsigned())
        .take_while(|&byte| byte != 0)
        .collect();
    (!bytes.is_empty()).then(|| Path::new(OsStr::from_bytes(&bytes)).to_owned())
}

#[cfg(test)]
mod tests;
