//! Memory that virtual machines share.
#![allow(unsafe_code, reason = "exported symbols")]

use std::{
    ffi::{c_char, c_int, c_uint, c_void},
    ptr,
};

use libc::off_t;
use nix::errno::Errno;

use crate::{entry::entry, failure::Failure, pointer, vfd::give};

/// Longest name of memory in bytes, as of memfd_create(2).
const MAX_MEMORY_NAME: usize = 249;

/// The seals that all memory of virtio_wl has from the start: its size is settled.
const SEALS: c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

/// virtio_wl_memfd_create - create memory that can be shared with other virtual machines
///
/// name: for people only, as with memfd_create(2): NUL-terminated, at most 249 bytes.
///
/// size: in bytes, rounded up to whole pages of 4096 bytes; at most 4294963200. It is settled:
/// ftruncate(2) is not possible.
///
/// seals: 0, or any of F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_SEAL, which are always in force. Nothing
/// else can be promised to a receiver, so no other seal is taken.
///
/// The memory is zeroed, and counts against what the host allows this virtual machine until its last
/// descriptor and its last mapping here, and its last holder anywhere, are gone.
///
/// Returns a descriptor, close-on-exec, that the caller closes, maps with virtio_wl_mmap() and passes
/// with virtio_wl_sendmsg(). On failure -1, and errno is
/// - EDQUOT: more than the host allows this virtual machine, where its memory server says so itself (it
///   is the device's context "memfd");
/// - EFAULT: name is NULL;
/// - EFBIG: size is too large, or larger than the host allows at once;
/// - EINVAL: name is too long, or another seal is asked for;
/// - EMFILE: too many descriptors are open in this process;
/// - ENODEV: the device is gone, or this process was forked from the one that opened an embedded device;
/// - ENOENT and others of virtio_wl_connect(): the device cannot be opened;
/// - ENOMEM: more than the host allows or has, or the device's region of shared memory is full; with an
///   embedded device also for too many descriptors;
/// - ENOSPC: too many VFDs are open in this virtual machine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn virtio_wl_memfd_create(
    name: *const c_char,
    size: u64,
    seals: c_uint,
) -> c_int {
    entry(|| {
        // SAFETY: the caller's string, used during this call only.
        let name = unsafe { pointer::text(name, "name") }?;
        if name.len() > MAX_MEMORY_NAME {
            let detail = format!("a name has at most {MAX_MEMORY_NAME} bytes");
            return Err(Failure::new(Errno::EINVAL, detail));
        }
        if seals & !SEALS.cast_unsigned() != 0 {
            let detail = "seals other than SHRINK, GROW and SEAL cannot be had";
            return Err(Failure::new(Errno::EINVAL, detail));
        }
        Ok(give(virtio_wl_posix::allocate(size)?))
    })
}

/// virtio_wl_mmap - map memory, as mmap(2)
///
/// addr, length, prot, flags, fd, offset: as of mmap(2). With MAP_SHARED the memory is that of every
/// virtual machine that has it, and changes at any time.
///
/// What fd is does not matter: what is no VFD is mapped as mmap(2) does. Memory that its sender has made
/// larger can be mapped to its new end. The mapping stays when fd is closed.
///
/// mmap(2) does for VFDs too, but then virtio_wl_mremap() cannot make the mapping larger in a virtual
/// machine.
///
/// Returns the address. On failure MAP_FAILED, and errno is one of mmap(2), among them
/// - EBADF: fd is not open, and flags has no MAP_ANONYMOUS;
/// - EINVAL: length is 0, the range ends beyond the memory, or offset is no multiple of the page size;
/// - ENODEV: the VFD is no memory; or this process was forked from the one that opened an embedded
///   device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn virtio_wl_mmap(
    addr: *mut c_void,
    length: usize,
    prot: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    // SAFETY: as mmap(2): MAP_FIXED replaces what the caller says it may.
    entry(|| Ok(unsafe { virtio_wl_posix::mmap(addr, length, prot, flags, fd, offset) }?))
}

/// virtio_wl_mremap - move or resize a mapping, as mremap(2)
///
/// old_address, old_size: a mapping, whole if it is one of virtio_wl_mmap().
///
/// new_size: its new length in bytes. Memory that its sender has made larger can be mapped to its new
/// end. With the guest kernel's driver mremap(2) cannot make mappings of VFDs larger, this can.
///
/// flags: 0 or MREMAP_MAYMOVE.
///
/// Returns the new address; the old mapping is gone. On failure MAP_FAILED, the old mapping is as it
/// was, and errno is one of mremap(2), among them
/// - EFAULT: nothing is mapped there;
/// - EINVAL: unknown flags, old_address is no multiple of the page size, or new_size is 0;
/// - ENOMEM: it cannot grow where it is and MREMAP_MAYMOVE is not set, or there is no room.
///
/// Beyond the end of the memory it fails with EINVAL in a virtual machine; elsewhere it is done, as for
/// a file, and using what is there raises SIGBUS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn virtio_wl_mremap(
    old_address: *mut c_void,
    old_size: usize,
    new_size: usize,
    flags: c_int,
) -> *mut c_void {
    entry(|| {
        if flags & !libc::MREMAP_MAYMOVE != 0 {
            let detail = "flags has more than MREMAP_MAYMOVE";
            return Err(Failure::new(Errno::EINVAL, detail));
        }
        let anywhere = ptr::null_mut();
        // SAFETY: as mremap(2): the caller has no other use for the old mapping.
        Ok(unsafe { virtio_wl_posix::mremap(old_address, old_size, new_size, flags, anywhere) }?)
    })
}

/// virtio_wl_munmap - unmap memory, as munmap(2)
///
/// addr, length: what was mapped, by virtio_wl_mmap() or otherwise.
///
/// munmap(2) unmaps too, but then in a virtual machine the memory stays allocated to it until something
/// else is mapped in the same place with these functions.
///
/// Returns 0. On failure -1, and errno is
/// - EINVAL: addr is no multiple of the page size, or length is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn virtio_wl_munmap(addr: *mut c_void, length: usize) -> c_int {
    entry(|| {
        // SAFETY: as munmap(2): the caller has no more use for it.
        unsafe { virtio_wl_posix::munmap(addr, length) }?;
        Ok(0)
    })
}
