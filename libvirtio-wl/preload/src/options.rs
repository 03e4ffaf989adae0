//! What a connection says of itself as a socket.
//!
//! It says what a Unix stream socket to this very process would: who is behind it is known to the
//! host alone, and not as a process of this VM.
#![allow(unsafe_code)]

use std::{
    ffi::{c_int, c_void},
    io, mem, ptr, slice,
};

use libc::{
    AF_UNIX, SO_ACCEPTCONN, SO_DOMAIN, SO_ERROR, SO_PASSCRED, SO_PEERCRED, SO_PROTOCOL, SO_RCVBUF,
    SO_SNDBUF, SO_TYPE, SOCK_STREAM, SOL_SOCKET, socklen_t, ucred,
};
use nix::{
    errno::Errno,
    unistd::{getegid, geteuid, getpid},
};
use virtio_wl::limits::INITIAL_CREDIT;

/// The value of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Number(c_int),
    /// Of this process. The pid must not be 0: libraries take that for a fault.
    Credentials,
}

/// An option of a connection.
pub(crate) fn of_connection(level: c_int, name: c_int) -> io::Result<Answer> {
    match (level, name) {
        (SOL_SOCKET, SO_PEERCRED) => Ok(Answer::Credentials),
        (SOL_SOCKET, SO_ACCEPTCONN) => Ok(Answer::Number(0)),
        _ => common(level, name),
    }
}

/// An option of a listener that has no socket for local clients.
pub(crate) fn of_listener(level: c_int, name: c_int) -> io::Result<Answer> {
    match (level, name) {
        (SOL_SOCKET, SO_PEERCRED) => Ok(Answer::Credentials),
        (SOL_SOCKET, SO_ACCEPTCONN) => Ok(Answer::Number(1)),
        _ => common(level, name),
    }
}

fn common(level: c_int, name: c_int) -> io::Result<Answer> {
    if level != SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP.into());
    }
    match name {
        SO_TYPE => Ok(Answer::Number(SOCK_STREAM)),
        SO_DOMAIN => Ok(Answer::Number(AF_UNIX)),
        SO_PROTOCOL | SO_ERROR | SO_PASSCRED => Ok(Answer::Number(0)),
        SO_SNDBUF | SO_RCVBUF => Ok(Answer::Number(INITIAL_CREDIT.cast_signed())),
        _ => Err(Errno::ENOPROTOOPT.into()),
    }
}

/// Setting an option: sizes of buffers are advice, which is not taken; credentials never come with a
/// message.
pub(crate) fn set(level: c_int, name: c_int) -> io::Result<()> {
    match (level, name) {
        (SOL_SOCKET, SO_SNDBUF | SO_RCVBUF | SO_PASSCRED) => Ok(()),
        (SOL_SOCKET, _) => Err(Errno::ENOPROTOOPT.into()),
        _ => Err(Errno::EOPNOTSUPP.into()),
    }
}

impl Answer {
    /// Puts it where getsockopt(2) does, cut off where the caller has less room.
    ///
    /// # Safety
    ///
    /// `len` points to the size of what `value` points to; either may be null.
    pub(crate) unsafe fn store(self, value: *mut c_void, len: *mut socklen_t) -> io::Result<()> {
        match self {
            // SAFETY: as the caller's.
            Self::Number(number) => unsafe { store(&number, value, len) },
            Self::Credentials => {
                let credentials = ucred {
                    pid: getpid().as_raw(),
                    uid: geteuid().as_raw(),
                    gid: getegid().as_raw(),
                };
                // SAFETY: as the caller's.
                unsafe { store(&credentials, value, len) }
            }
        }
    }
}

/// As `Answer::store`, of a value without padding.
unsafe fn store<T: Copy>(answer: &T, value: *mut c_void, len: *mut socklen_t) -> io::Result<()> {
    if value.is_null() || len.is_null() {
        return Err(Errno::EFAULT.into());
    }
    // SAFETY: not null, so the caller's size.
    let room = unsafe { len.read() };
    let room = usize::try_from(room.cast_signed()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: an integer or three have no padding.
    let bytes =
        unsafe { slice::from_raw_parts(ptr::from_ref(answer).cast::<u8>(), mem::size_of::<T>()) };
    let count = room.min(bytes.len());
    // SAFETY: the caller has that much room there.
    unsafe { value.cast::<u8>().copy_from(bytes.as_ptr(), count) };
    // SAFETY: not null.
    unsafe { len.write(socklen_t::try_from(count).unwrap_or(socklen_t::MAX)) };
    Ok(())
}

#[cfg(test)]
mod tests;
