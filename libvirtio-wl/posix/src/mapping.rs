//! Mappings of memory VFDs, for programs that resize them.
//!
//! libwayland maps a pool, closes its descriptor at once, and grows the mapping with mremap(2) later.
//! So the descriptor is kept for each mapping of a VFD, for two reasons:
//!
//! * The kernel refuses to grow mappings of device memory (`EFAULT`). The mapping is made anew.
//! * With the embedded driver memory is an ordinary file, whose mappings grow beyond its end. libwayland
//!   believes that memory which cannot shrink, as such memory cannot, never raises `SIGBUS`, and
//!   does not look again when a pool grows. So no mapping becomes longer than its memory.
//!
//! All calls go to the kernel directly: the functions of libc of these names may be the callers.
#![allow(unsafe_code)]

use std::{
    ffi::{c_int, c_void},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::Arc,
};

use libc::off_t;
use nix::errno::Errno;
use virtio_wl::{Device, Vfd, VfdKind, limits::PAGE_SIZE};

use crate::resolve::{borrow, identify};

mod ranges;
mod sys;

use ranges::{Mapped, Ranges};

/// mmap(2), of VFDs and of everything else.
///
/// What a peer has made larger since it sent it can be mapped to its new end. Anonymous mappings take
/// no lock, so that a signal handler can make them.
///
/// # Safety
///
/// As for mmap(2): `MAP_FIXED` replaces what is there.
///
/// # Errors
///
/// As there; of a VFD also `EINVAL` when the range ends beyond the memory, and `ENODEV` when it is none.
pub unsafe fn mmap(
    addr: *mut c_void,
    len: usize,
    prot: c_int,
    flags: c_int,
    fd: RawFd,
    offset: off_t,
) -> io::Result<*mut c_void> {
    let memory = if flags & libc::MAP_ANONYMOUS != 0 || fd < 0 {
        None
    } else {
        memory_of(borrow(fd)?)?
    };
    if let Some((device, fd, size)) = &memory {
        check_range(device, *fd, *size, len, offset)?;
    }
    // SAFETY: by contract.
    let mapped = unsafe { sys::mmap(addr, len, prot, flags, fd, offset) }?;
    if let Some((_, fd, _)) = memory {
        remember(mapped, len, prot, flags, fd, offset);
    }
    Ok(mapped)
}

/// Remembers what was mapped by others, for [`mremap`]. Does nothing for what is no VFD.
pub fn record(addr: *mut c_void, len: usize, prot: c_int, flags: c_int, fd: RawFd, offset: off_t) {
    let Ok(number) = borrow(fd) else {
        return;
    };
    if matches!(identify(number), Ok(Some((_, VfdKind::Memory { .. })))) {
        remember(addr, len, prot, flags, number, offset);
    }
}

/// Keeps what is needed for a mapping of a memory VFD to grow.
fn remember(
    addr: *mut c_void,
    len: usize,
    prot: c_int,
    flags: c_int,
    fd: BorrowedFd<'_>,
    offset: off_t,
) {
    match fd.try_clone_to_owned() {
        Ok(own) => ranges::lock().insert(
            addr.addr(),
            Mapped {
                len: whole_pages(len),
                prot,
                flags: flags & !(libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE),
                fd: Arc::new(own),
                offset,
            },
        ),
        // The mapping is as good as any; only growing it will fail.
        Err(error) => tracing::warn!("a mapping of a VFD cannot be made larger: {error}"),
    }
}

/// mremap(2), which also makes mappings of VFDs larger.
///
/// `new_addr` is looked at with `MREMAP_FIXED` only.
///
/// # Safety
///
/// As for mremap(2): nobody uses the old mapping any more, nor what is at `new_addr`.
///
/// # Errors
///
/// As there. The old mapping is as it was.
pub unsafe fn mremap(
    old: *mut c_void,
    old_len: usize,
    new_len: usize,
    flags: c_int,
    new_addr: *mut c_void,
) -> io::Result<*mut c_void> {
    if ranges::none() {
        // SAFETY: by contract.
        return unsafe { sys::mremap(old, old_len, new_len, flags, new_addr) };
    }
    let mut ranges = ranges::lock();
    if let Some(mapped) = ranges.get(old.addr(), whole_pages(old_len))
        && new_len > old_len
        && let Some((device, fd, size)) = memory_of(mapped.fd.as_fd())?
    {
        check_range(&device, fd, size, new_len, mapped.offset)?;
    }
    // SAFETY: by contract.
    match unsafe { sys::mremap(old, old_len, new_len, flags, new_addr) } {
        Ok(new) => {
            ranges.moved(old.addr(), old_len, new.addr(), whole_pages(new_len));
            Ok(new)
        }
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => {
            let found = ranges.get(old.addr(), whole_pages(old_len));
            let mapped = found.ok_or(error)?;
            // SAFETY: by contract.
            unsafe { map_anew(&mut ranges, mapped, old, new_len, flags, new_addr) }
        }
        Err(error) => Err(error),
    }
}

/// munmap(2).
///
/// # Safety
///
/// As for munmap(2): nobody uses what is there any more.
///
/// # Errors
///
/// As there.
pub unsafe fn munmap(addr: *mut c_void, len: usize) -> io::Result<()> {
    if ranges::none() {
        // SAFETY: by contract.
        return unsafe { sys::munmap(addr, len) };
    }
    // Held over the call: what another thread maps in the same place is recorded after this.
    let mut ranges = ranges::lock();
    // SAFETY: by contract.
    unsafe { sys::munmap(addr, len) }?;
    ranges.remove(addr.addr(), whole_pages(len));
    Ok(())
}

/// Maps the memory behind `old` in another length, and takes the old mapping away.
///
/// # Safety
///
/// As for [`mremap`].
unsafe fn map_anew(
    ranges: &mut Ranges,
    mapped: Mapped,
    old: *mut c_void,
    new_len: usize,
    flags: c_int,
    new_addr: *mut c_void,
) -> io::Result<*mut c_void> {
    if flags & libc::MREMAP_MAYMOVE == 0 {
        return Err(Errno::ENOMEM.into());
    }
    if flags & !(libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let fd = mapped.fd.as_raw_fd();
    let (place, fixed) = if flags & libc::MREMAP_FIXED == 0 {
        (std::ptr::null_mut(), 0)
    } else {
        (new_addr, libc::MAP_FIXED)
    };
    // SAFETY: by contract, what is at `new_addr` may go.
    let new = unsafe {
        sys::mmap(
            place,
            new_len,
            mapped.prot,
            mapped.flags | fixed,
            fd,
            mapped.offset,
        )
    }?;
    // SAFETY: by contract, nobody uses the old mapping.
    unsafe { sys::munmap(old, mapped.len) }?;
    ranges.remove(old.addr(), mapped.len);
    let len = whole_pages(new_len);
    ranges.insert(new.addr(), Mapped { len, ..mapped });
    Ok(new)
}

/// The size of a memory VFD; `None` for what is no VFD.
fn memory_of(fd: BorrowedFd<'_>) -> io::Result<Option<(Device, BorrowedFd<'_>, u64)>> {
    match identify(fd)? {
        None => Ok(None),
        Some((device, VfdKind::Memory { size })) => Ok(Some((device, fd, size))),
        Some(_) => Err(Errno::ENODEV.into()),
    }
}

/// Fails unless the memory reaches to the end of a range, at the latest after asking anew.
fn check_range(
    device: &Device,
    fd: BorrowedFd<'_>,
    size: u64,
    len: usize,
    offset: off_t,
) -> io::Result<()> {
    let end = u64::try_from(offset)
        .ok()
        .and_then(|offset| offset.checked_add(u64::try_from(len).ok()?))
        .ok_or(Errno::EINVAL)?;
    let fits = |size: u64| end <= size.next_multiple_of(PAGE_SIZE);
    if fits(size) || refresh(device, fd).is_ok_and(fits) {
        Ok(())
    } else {
        Err(Errno::EINVAL.into())
    }
}

/// Asks for the size as it is now.
fn refresh(device: &Device, fd: BorrowedFd<'_>) -> io::Result<u64> {
    match device.vfd_from_fd(fd.try_clone_to_owned()?)? {
        Vfd::Memory(mut memory) => memory.refresh(),
        Vfd::Stream(_) => Err(Errno::ENODEV.into()),
    }
}

/// What a mapping of `len` bytes takes: the kernel counts in pages.
fn whole_pages(len: usize) -> usize {
    len.next_multiple_of(PAGE_SIZE as usize)
}

#[cfg(test)]
mod tests;
