//! The three system calls.

use std::{
    ffi::{c_int, c_long, c_void},
    io,
    os::fd::RawFd,
    ptr,
};

use libc::off_t;

/// # Safety
///
/// As for mmap(2).
pub(super) unsafe fn mmap(
    addr: *mut c_void,
    len: usize,
    prot: c_int,
    flags: c_int,
    fd: RawFd,
    offset: off_t,
) -> io::Result<*mut c_void> {
    // SAFETY: by contract.
    address(unsafe { libc::syscall(libc::SYS_mmap, addr, len, prot, flags, fd, offset) })
}

/// # Safety
///
/// As for mremap(2).
pub(super) unsafe fn mremap(
    old: *mut c_void,
    old_len: usize,
    new_len: usize,
    flags: c_int,
    new_addr: *mut c_void,
) -> io::Result<*mut c_void> {
    // SAFETY: by contract.
    address(unsafe { libc::syscall(libc::SYS_mremap, old, old_len, new_len, flags, new_addr) })
}

/// # Safety
///
/// As for munmap(2).
pub(super) unsafe fn munmap(addr: *mut c_void, len: usize) -> io::Result<()> {
    // SAFETY: by contract.
    address(unsafe { libc::syscall(libc::SYS_munmap, addr, len) }).map(drop)
}

fn address(result: c_long) -> io::Result<*mut c_void> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(ptr::with_exposed_provenance_mut(
        result.cast_unsigned() as usize
    ))
}
