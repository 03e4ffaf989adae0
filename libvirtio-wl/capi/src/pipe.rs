//! Pipes between this virtual machine and others.
#![allow(unsafe_code, reason = "an exported symbol")]

use std::ffi::c_int;

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
};
use virtio_wl::PipeDirection;

use crate::{entry::entry, failure::Failure, vfd::give};

/// virtio_wl_pipe2 - create a pipe to whoever the other end is sent to
///
/// access: what this process does with its end: O_RDONLY or O_WRONLY.
///
/// flags: 0, or any of O_CLOEXEC and O_NONBLOCK.
///
/// Unlike pipe2(2) it returns one descriptor: the other end stays with the host until the descriptor
/// is passed with virtio_wl_sendmsg(), which passes that other end, and can be done once. Bytes are
/// moved with virtio_wl_send() and virtio_wl_recv(); read(2) and write(2) do not do the same. An
/// ordinary pipe can be passed as well, and is carried over in the background.
///
/// Returns a descriptor that the caller closes. On failure -1, and errno is
/// - EINVAL: access or flags is none of the above;
/// - EMFILE: too many descriptors are open in this process;
/// - ENODEV: the device is gone, or this process was forked from the one that opened an embedded device;
/// - ENOENT and others of virtio_wl_connect(): the device cannot be opened;
/// - ENOSPC: too many VFDs are open in this virtual machine.
#[unsafe(no_mangle)]
pub extern "C" fn virtio_wl_pipe2(access: c_int, flags: c_int) -> c_int {
    entry(|| {
        let direction = match access {
            libc::O_RDONLY => PipeDirection::Read,
            libc::O_WRONLY => PipeDirection::Write,
            _ => {
                let detail = "access is neither O_RDONLY nor O_WRONLY";
                return Err(Failure::new(Errno::EINVAL, detail));
            }
        };
        let flags = OFlag::from_bits_retain(flags);
        if !(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).contains(flags) {
            let detail = "flags has more than O_CLOEXEC and O_NONBLOCK";
            return Err(Failure::new(Errno::EINVAL, detail));
        }
        let nonblocking = flags.contains(OFlag::O_NONBLOCK);
        let pipe = virtio_wl_posix::pipe(direction, nonblocking)?;
        if !flags.contains(OFlag::O_CLOEXEC) {
            fcntl(&pipe, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(give(pipe))
    })
}
