//! Mapping memory.
//!
//! Signal handlers call these, libwayland's of `SIGBUS` for one, so that anonymous memory goes straight
//! through: two comparisons, no lock, no allocation. What is mapped of VFDs is remembered, as it may
//! have to grow; see `virtio_wl_posix::mremap`.
#![allow(unsafe_code)]

use std::{
    ffi::{c_int, c_void},
    io,
};

use libc::{MAP_ANONYMOUS, MAP_FAILED, off_t, off64_t, size_t};
use nix::errno::Errno;

use crate::{boundary, presence, real};

/// # Safety
///
/// As mmap(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    addr: *mut c_void,
    len: size_t,
    prot: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    // SAFETY: as the caller's.
    let place = unsafe { real::mmap(addr, len, prot, flags, fd, offset) };
    remember(place, len, prot, flags, fd, offset);
    place
}

/// # Safety
///
/// As mmap(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn mmap64(
    addr: *mut c_void,
    len: size_t,
    prot: c_int,
    flags: c_int,
    fd: c_int,
    offset: off64_t,
) -> *mut c_void {
    // SAFETY: as the caller's.
    let place = unsafe { real::mmap64(addr, len, prot, flags, fd, offset) };
    remember(place, len, prot, flags, fd, offset);
    place
}

/// In C it is variadic: `new_addr` is there only with some flags. Passed on as a fixed argument, it is
/// whatever is in its register, as on x86-64 and aarch64 Linux variadic arguments travel as others do.
///
/// # Safety
///
/// As mremap(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn mremap(
    addr: *mut c_void,
    old: size_t,
    new: size_t,
    flags: c_int,
    new_addr: *mut c_void,
) -> *mut c_void {
    // SAFETY: as the caller's.
    let ours = || unsafe { virtio_wl_posix::mremap(addr, old, new, flags, new_addr) };
    // SAFETY: as the caller's.
    let libcs = || unsafe { real::mremap(addr, old, new, flags, new_addr) };
    either(ours, libcs, MAP_FAILED)
}

/// # Safety
///
/// As munmap(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn munmap(addr: *mut c_void, len: size_t) -> c_int {
    // SAFETY: as the caller's.
    let ours = || unsafe { virtio_wl_posix::munmap(addr, len) }.map(|()| 0);
    // SAFETY: as the caller's.
    let libcs = || unsafe { real::munmap(addr, len) };
    either(ours, libcs, -1)
}

/// Keeps what is needed for a mapping of a VFD to grow.
#[inline]
fn remember(
    place: *mut c_void,
    len: size_t,
    prot: c_int,
    flags: c_int,
    fd: c_int,
    offset: off64_t,
) {
    let may_be_vfd = fd >= 0 && flags & MAP_ANONYMOUS == 0;
    if may_be_vfd && presence::device_is_open() && place != MAP_FAILED {
        boundary::besides(|| virtio_wl_posix::record(place, len, prot, flags, fd, offset));
    }
}

/// Once there can be mappings of VFDs, does `ours`; `libcs` until then, and for calls from inside of this
/// library, signal handlers that have interrupted it among them.
fn either<T>(ours: impl FnOnce() -> io::Result<T>, libcs: impl FnOnce() -> T, failed: T) -> T {
    let before = Errno::last_raw();
    let result = if presence::device_is_open() {
        boundary::enter(ours)
    } else {
        None
    };
    match result {
        None => libcs(),
        Some(Ok(result)) => {
            Errno::set_raw(before);
            result
        }
        Some(Err(error)) => {
            Errno::set_raw(virtio_wl_posix::errno(&error));
            failed
        }
    }
}
