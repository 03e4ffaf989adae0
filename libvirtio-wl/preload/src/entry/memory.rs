//! Mapping memory.
//!
//! Signal handlers call these, so that anonymous memory goes straight through: two comparisons, no
//! lock, no allocation.
#![allow(unsafe_code)]

use std::{
    ffi::{c_int, c_void},
    io,
    os::fd::BorrowedFd,
    sync::Arc,
};

use libc::{EFAULT, MAP_ANONYMOUS, MAP_FAILED, MREMAP_MAYMOVE, off_t, off64_t, size_t};
use nix::errno::Errno;
use virtio_wl::VfdKind;

use crate::{
    boundary,
    listening::duplicate,
    mappings::{self, Mapped},
    real,
};

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
    if is_plain(flags, fd) {
        // SAFETY: as the caller's.
        return unsafe { real::mmap(addr, len, prot, flags, fd, offset) };
    }
    // SAFETY: as the caller's.
    unsafe { map(addr, len, prot, flags, fd, offset) }
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
    if is_plain(flags, fd) {
        // SAFETY: as the caller's.
        return unsafe { real::mmap64(addr, len, prot, flags, fd, offset) };
    }
    // SAFETY: as the caller's.
    unsafe { map(addr, len, prot, flags, fd, offset) }
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
    let kernel = || unsafe { real::mremap(addr, old, new, flags, new_addr) };
    if !mappings::any() {
        return kernel();
    }
    let before = Errno::last_raw();
    let start = addr.expose_provenance();
    let moved = boundary::enter(|| {
        Ok(mappings::change(|table| {
            if new > old && !table.may_grow(start, new) {
                Errno::EFAULT.set();
                return MAP_FAILED;
            }
            let place = kernel();
            if place != MAP_FAILED {
                table.moved((start, old), (place.expose_provenance(), new));
                return place;
            }
            let refused = Errno::last_raw();
            if refused == EFAULT
                && flags == MREMAP_MAYMOVE
                && new > old
                && let Some(place) = table.grow(start, old, new)
            {
                Errno::set_raw(before);
                return place;
            }
            Errno::set_raw(refused);
            MAP_FAILED
        }))
    });
    finish(moved, kernel, MAP_FAILED)
}

/// # Safety
///
/// As munmap(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn munmap(addr: *mut c_void, len: size_t) -> c_int {
    // SAFETY: as the caller's.
    let kernel = || unsafe { real::munmap(addr, len) };
    if !mappings::any() {
        return kernel();
    }
    let unmapped = boundary::enter(|| {
        Ok(mappings::change(|table| {
            let result = kernel();
            if result == 0 {
                table.remove(addr.expose_provenance(), len);
            }
            result
        }))
    });
    finish(unmapped, kernel, -1)
}

/// Whether a mapping cannot be of memory of another VM.
#[inline]
fn is_plain(flags: c_int, fd: c_int) -> bool {
    fd < 0 || flags & MAP_ANONYMOUS != 0 || !mappings::watching()
}

#[cold]
unsafe fn map(
    addr: *mut c_void,
    len: size_t,
    prot: c_int,
    flags: c_int,
    fd: c_int,
    offset: off64_t,
) -> *mut c_void {
    // SAFETY: as the caller's.
    let kernel = || unsafe { real::mmap64(addr, len, prot, flags, fd, offset) };
    let mapped = boundary::enter(|| {
        let memory = memory_of(fd)?;
        Ok(mappings::change(|table| {
            let place = kernel();
            if place == MAP_FAILED {
                return place;
            }
            let start = place.expose_provenance();
            table.remove(start, len);
            if let Some(memory) = memory {
                table.insert(Mapped {
                    start,
                    len,
                    prot,
                    flags,
                    offset,
                    memory,
                });
            }
            place
        }))
    });
    finish(mapped, kernel, MAP_FAILED)
}

/// A duplicate of `fd` if it is memory of another VM.
///
/// Without one the mapping is made all the same, and will not grow.
fn memory_of(fd: c_int) -> io::Result<Option<Arc<std::os::fd::OwnedFd>>> {
    // SAFETY: not negative, and open a moment ago; the caller closes it no earlier than after the call.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(match virtio_wl_posix::kind(fd) {
        Ok(Some(VfdKind::Memory { .. })) => duplicate(fd).ok().map(Arc::new),
        _ => None,
    })
}

/// What became of a call, which the kernel alone answers when it is one of our own.
fn finish<T>(result: Option<io::Result<T>>, kernel: impl FnOnce() -> T, failed: T) -> T {
    match result {
        None => kernel(),
        Some(Ok(result)) => result,
        Some(Err(error)) => {
            Errno::set_raw(virtio_wl_posix::errno(&error));
            failed
        }
    }
}
