//! What kind of file a descriptor is.
//!
//! libwayland wants a listening socket to say that it is a socket. Kernel objects without a type of
//! their own, of which an epoll set is one and a VFD of the kernel's driver another, are looked at
//! twice; nothing else is.
#![allow(unsafe_code)]

use std::{
    ffi::{c_char, c_int, c_uint},
    os::fd::BorrowedFd,
};

use libc::{
    AT_EMPTY_PATH, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK, STATX_SIZE, STATX_TYPE, stat, stat64,
    statx as Statx,
};
use virtio_wl::VfdKind;

use crate::{boundary, listening, presence, real};

/// Rights that sockets and VFDs have: their owner's.
const OWNERS: u32 = 0o600;

/// What a file is that libc has no type for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Nature {
    mode: u32,
    /// Of memory.
    size: Option<u64>,
}

/// # Safety
///
/// As fstat(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn fstat(fd: c_int, buf: *mut stat) -> c_int {
    // SAFETY: as the caller's.
    let result = unsafe { real::fstat(fd, buf) };
    if result == 0 {
        // SAFETY: just written by libc.
        correct(fd, unsafe { &mut *buf }.into());
    }
    result
}

/// # Safety
///
/// As fstat(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn fstat64(fd: c_int, buf: *mut stat64) -> c_int {
    // SAFETY: as the caller's.
    let result = unsafe { real::fstat64(fd, buf) };
    if result == 0 {
        // SAFETY: just written by libc.
        correct(fd, unsafe { &mut *buf }.into());
    }
    result
}

/// fstat(2) of programs built with glibc before 2.33.
///
/// # Safety
///
/// As fstat(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn __fxstat(version: c_int, fd: c_int, buf: *mut stat) -> c_int {
    // SAFETY: as the caller's.
    let result = unsafe { real::__fxstat(version, fd, buf) };
    if result == 0 {
        // SAFETY: just written by libc.
        correct(fd, unsafe { &mut *buf }.into());
    }
    result
}

/// fstat(2) of programs built with glibc before 2.33.
///
/// # Safety
///
/// As fstat(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn __fxstat64(version: c_int, fd: c_int, buf: *mut stat64) -> c_int {
    // SAFETY: as the caller's.
    let result = unsafe { real::__fxstat64(version, fd, buf) };
    if result == 0 {
        // SAFETY: just written by libc.
        correct(fd, unsafe { &mut *buf }.into());
    }
    result
}

/// As the Rust standard library asks for what a descriptor is.
///
/// # Safety
///
/// As statx(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn statx(
    dir: c_int,
    path: *const c_char,
    flags: c_int,
    mask: c_uint,
    buf: *mut Statx,
) -> c_int {
    // SAFETY: as the caller's.
    let result = unsafe { real::statx(dir, path, flags, mask, buf) };
    if result != 0 || dir < 0 || flags & AT_EMPTY_PATH == 0 {
        return result;
    }
    // Newer kernels take null for the empty path.
    // SAFETY: libc has read it as a string.
    if path.is_null() || unsafe { path.read() } == 0 {
        // SAFETY: just written by libc.
        let buf = unsafe { &mut *buf };
        if buf.stx_mask & STATX_TYPE != 0 {
            correct(dir, buf.into());
        }
    }
    result
}

/// The fields that may be corrected, of whichever structure.
enum Fields<'a> {
    Stat {
        mode: &'a mut u32,
        size: &'a mut i64,
    },
    Statx(&'a mut Statx),
}

impl<'a> From<&'a mut stat> for Fields<'a> {
    fn from(buf: &'a mut stat) -> Self {
        Self::Stat {
            mode: &mut buf.st_mode,
            size: &mut buf.st_size,
        }
    }
}

impl<'a> From<&'a mut stat64> for Fields<'a> {
    fn from(buf: &'a mut stat64) -> Self {
        Self::Stat {
            mode: &mut buf.st_mode,
            size: &mut buf.st_size,
        }
    }
}

impl<'a> From<&'a mut Statx> for Fields<'a> {
    fn from(buf: &'a mut Statx) -> Self {
        Self::Statx(buf)
    }
}

impl Fields<'_> {
    fn mode(&self) -> u32 {
        match self {
            Self::Stat { mode, .. } => **mode,
            Self::Statx(buf) => u32::from(buf.stx_mode),
        }
    }

    fn set(self, nature: Nature) {
        match self {
            Self::Stat { mode, size } => {
                *mode = nature.mode;
                if let Some(bytes) = nature.size {
                    *size = i64::try_from(bytes).unwrap_or(i64::MAX);
                }
            }
            Self::Statx(buf) => {
                buf.stx_mode = u16::try_from(nature.mode).unwrap_or(buf.stx_mode);
                if let Some(bytes) = nature.size {
                    buf.stx_size = bytes;
                    buf.stx_mask |= STATX_SIZE;
                }
            }
        }
    }
}

#[inline]
fn correct(fd: c_int, fields: Fields<'_>) {
    if fd >= 0 && fields.mode() & S_IFMT == 0 {
        boundary::besides(|| {
            if let Some(nature) = nature(fd) {
                fields.set(nature);
            }
        });
    }
}

#[cold]
fn nature(fd: c_int) -> Option<Nature> {
    // SAFETY: not negative; libc has just found it open.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    if listening::find(fd).is_some() {
        return Some(Nature {
            mode: S_IFSOCK | OWNERS,
            size: None,
        });
    }
    // VFDs of the embedded driver are files with a type.
    if !presence::device_is_open() {
        return None;
    }
    let (kind, size) = match virtio_wl_posix::kind(fd).ok()?? {
        VfdKind::Memory { size } => (S_IFREG, Some(size)),
        VfdKind::Socket => (S_IFSOCK, None),
        VfdKind::Pipe { .. } => (S_IFIFO, None),
        _ => return None,
    };
    Some(Nature {
        mode: kind | OWNERS,
        size,
    })
}
