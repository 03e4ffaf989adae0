//! The layout of `struct virtio_wl_peer`.
#![allow(unsafe_code, reason = "an exported symbol")]

use std::{
    ffi::{c_char, c_int},
    mem::offset_of,
};

use nix::errno::Errno;
use virtio_wl::{Peer, label::MAX_VM_NAME_BYTES};

use crate::{
    entry::entry,
    failure::{Failure, Result},
    pointer,
    vfd::with_fd,
};

/// Bytes of `vm_name` in struct virtio_wl_peer, its NUL included.
pub const VIRTIO_WL_VM_NAME_SIZE: usize = 64;

/// Size of the first version of struct virtio_wl_peer, the least that its `size` may say.
pub const VIRTIO_WL_PEER_SIZE_V1: usize = 80;

/// Who a connection comes from, in the words of the host: no byte of it comes from the peer.
///
/// Integers are in host byte order. Later versions of the library add fields at the end only.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct VirtioWlPeer {
    /// In: sizeof(struct virtio_wl_peer), as the caller was compiled. At least
    /// VIRTIO_WL_PEER_SIZE_V1. Left as it was.
    pub size: u32,
    /// The virtual machine. Equal numbers are the same one for as long as this machine runs.
    pub vm_id: u32,
    /// The colour of its label: 0x00RRGGBB, sRGB.
    pub colour: u32,
    /// Zero.
    pub reserved: u32,
    /// Its name: 1 to 63 characters of A-Z a-z 0-9 . _ -, NUL-terminated, and NULs after that.
    pub vm_name: [c_char; VIRTIO_WL_VM_NAME_SIZE],
}

// The layout is part of the ABI, and without padding.
const _: () = {
    assert!(offset_of!(VirtioWlPeer, size) == 0);
    assert!(offset_of!(VirtioWlPeer, vm_id) == 4);
    assert!(offset_of!(VirtioWlPeer, colour) == 8);
    assert!(offset_of!(VirtioWlPeer, reserved) == 12);
    assert!(offset_of!(VirtioWlPeer, vm_name) == 16);
    assert!(size_of::<VirtioWlPeer>() == VIRTIO_WL_PEER_SIZE_V1);
    assert!(VIRTIO_WL_VM_NAME_SIZE == MAX_VM_NAME_BYTES + 1);
};

impl VirtioWlPeer {
    /// For a caller that knows `size` bytes of it.
    fn new(peer: &Peer, size: u32) -> Self {
        let mut vm_name = [0; VIRTIO_WL_VM_NAME_SIZE];
        for (to, from) in vm_name.iter_mut().zip(peer.vm_name.as_str().bytes()) {
            *to = from as c_char;
        }
        Self {
            size,
            vm_id: peer.vm_id.0,
            colour: peer.colour.to_u32(),
            reserved: 0,
            vm_name,
        }
    }
}

/// virtio_wl_accept_peer - who an accepted connection comes from
///
/// fd: a connection that virtio_wl_accept4() returned in this process, or a duplicate of it.
///
/// peer: its `size` is set by the caller. On success the rest is filled in; bytes that this version
/// of the library does not know of become zero.
///
/// This is what SO_PEERCRED is for a socket, with the difference that it can be trusted: the host
/// assigns name, number and colour to the virtual machine, which can neither see nor choose them.
///
/// Returns 0. On failure -1, and errno is
/// - EBADF: fd is not open;
/// - EFAULT: peer is NULL;
/// - EINVAL: peer->size is less than VIRTIO_WL_PEER_SIZE_V1 or more than 4096;
/// - ENOTCONN: fd is a VFD, but no accepted connection;
/// - ENOTSOCK: fd is no VFD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn virtio_wl_accept_peer(fd: c_int, peer: *mut VirtioWlPeer) -> c_int {
    entry(|| {
        // SAFETY: a structure of the caller, whose size is its first field.
        let size = unsafe { pointer::size_field(peer, "peer") }?;
        let size = check_size(size)?;
        let found = with_fd(fd, |fd| Ok(virtio_wl_posix::peer(fd)?))?;
        let found = found.ok_or_else(|| {
            Failure::new(Errno::ENOTCONN, format!("{fd} is no accepted connection"))
        })?;
        let value = VirtioWlPeer::new(&found, size);
        // SAFETY: not NULL, of the size it says, and the layout above has no padding.
        unsafe { pointer::store_versioned(&value, peer, size as usize) };
        Ok(0)
    })
}

/// Most that a caller's structure may be said to have, so that what is not initialised is found.
const MAX_PEER_SIZE: usize = 4096;

fn check_size(size: usize) -> Result<u32> {
    u32::try_from(size)
        .ok()
        .filter(|_| (VIRTIO_WL_PEER_SIZE_V1..=MAX_PEER_SIZE).contains(&size))
        .ok_or_else(|| {
            let detail = format!("peer->size is {size}: set it to sizeof(struct virtio_wl_peer)");
            Failure::new(Errno::EINVAL, detail)
        })
}
