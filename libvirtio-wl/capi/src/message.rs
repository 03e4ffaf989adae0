//! Bytes and descriptors.
#![allow(unsafe_code, reason = "exported symbols")]

use std::ffi::{c_int, c_void};

use libc::{msghdr, ssize_t};
use nix::errno::Errno;
use virtio_wl_posix::ReceivedPipes;

use crate::{
    entry::entry,
    failure::{Failure, Result},
    pointer,
};

/// virtio_wl_send - send bytes, as send(2)
///
/// fd: a connection, or the writing end of a pipe.
///
/// data, len: the bytes. data may be NULL when len is 0.
///
/// flags: see virtio_wl_sendmsg(), which this is without descriptors.
///
/// Returns the number of bytes sent. On failure -1, and errno is one of virtio_wl_sendmsg().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn virtio_wl_send(
    fd: c_int,
    data: *const c_void,
    len: usize,
    flags: c_int,
) -> ssize_t {
    entry(|| {
        let mut iov = [pointer::one_buffer(data, len)?];
        let message = pointer::message(&mut iov);
        // SAFETY: a message of the caller's one buffer.
        count(unsafe { virtio_wl_posix::sendmsg(fd, &raw const message, flags) }?)
    })
}

/// virtio_wl_sendmsg - send bytes and descriptors, as sendmsg(2)
///
/// fd: a connection, or the writing end of a pipe.
///
/// msg: the buffers, at most 1024, and control data of SCM_RIGHTS messages with at most 28 descriptors
/// together. They are borrowed: the caller closes its own at any time after the call. msg_name must be
/// NULL or msg_namelen 0. A descriptor may be
/// - a VFD, which goes as it is;
/// - ordinary memory (a regular file, memfd or shared memory object), whose content goes, as it is
///   now, as fresh shared memory of whole pages;
/// - an ordinary pipe: the receiver gets a pipe whose bytes this process carries over in the
///   background until either end closes.
///
/// flags: 0, or any of MSG_DONTWAIT and MSG_NOSIGNAL; others are ignored but for MSG_OOB. SIGPIPE is
/// never raised.
///
/// Waits for room when there is none, unless MSG_DONTWAIT is set or fd is in non-blocking mode.
///
/// Returns the number of bytes sent: all of them, or what there was room for without waiting. All
/// descriptors go with the first of them. On failure -1, nothing has been sent, and errno is
/// - EAGAIN: it would have to wait;
/// - EBADF: fd, or a descriptor to be sent, is not open; or fd is the reading end of a pipe;
/// - EDQUOT, EFBIG, ENOMEM, ENOSPC: as of virtio_wl_memfd_create(), for memory to be sent;
/// - EFAULT: msg, or one of the pointers in it whose length is not 0, is NULL;
/// - EINVAL: malformed control data, or of another type; more than 28 descriptors; descriptors without
///   a byte, or on a pipe; or one of a kind that cannot be sent;
/// - EISCONN: an address is given;
/// - EMFILE: too many descriptors are open in this process, or too many ordinary pipes are carried;
/// - EMSGSIZE: more than 1024 buffers;
/// - ENODEV: this process was forked from the one that opened an embedded device;
/// - ENOTCONN: fd is a listener;
/// - ENOTSOCK: fd is no VFD, or memory;
/// - EOPNOTSUPP: MSG_OOB is set;
/// - EPIPE: the peer, or the device, is gone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn virtio_wl_sendmsg(fd: c_int, msg: *const msghdr, flags: c_int) -> ssize_t {
    entry(|| {
        pointer::not_null(msg, "msg")?;
        // SAFETY: the caller's message.
        count(unsafe { virtio_wl_posix::sendmsg(fd, msg, flags) }?)
    })
}

/// virtio_wl_recv - receive bytes, as recv(2)
///
/// fd: a connection, or the reading end of a pipe.
///
/// data, len: where the bytes go.
///
/// flags: see virtio_wl_recvmsg(), which this is without control data: descriptors that come with the
/// bytes are closed.
///
/// Returns the number of bytes received, 0 at the end of the stream. On failure -1, and errno is one of
/// virtio_wl_recvmsg().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn virtio_wl_recv(
    fd: c_int,
    data: *mut c_void,
    len: usize,
    flags: c_int,
) -> ssize_t {
    entry(|| {
        let mut iov = [pointer::one_buffer(data, len)?];
        let mut message = pointer::message(&mut iov);
        let pipes = ReceivedPipes::Raw;
        // SAFETY: a message of the caller's one buffer.
        count(unsafe { virtio_wl_posix::recvmsg(fd, &raw mut message, flags, pipes) }?)
    })
}

/// virtio_wl_recvmsg - receive bytes and descriptors, as recvmsg(2)
///
/// fd: a connection, or the reading end of a pipe.
///
/// msg: the buffers, at most 1024, and room for control data. After a success msg_controllen says how
/// much of it was used, by at most one SCM_RIGHTS message, whose descriptors the caller closes; msg_flags
/// has MSG_CTRUNC when there was not room for all: the others are closed. msg_namelen becomes 0.
/// Received descriptors are VFDs: memory to be mapped with virtio_wl_mmap(), connections, and ends of
/// pipes to be used with virtio_wl_recv() and virtio_wl_send().
///
/// flags: 0, or any of MSG_DONTWAIT, MSG_CMSG_CLOEXEC and MSG_WAITALL.
///
/// Waits for a byte when there is none, unless MSG_DONTWAIT is set or fd is in non-blocking mode.
/// Descriptors come with the byte they were sent with or an earlier one, never with a later one.
///
/// Returns the number of bytes received, 0 at the end of the stream. On failure -1, and errno is
/// - EAGAIN: nothing is there, and it would have to wait;
/// - EBADF: fd is not open, or is the writing end of a pipe;
/// - EFAULT: msg, or one of the pointers in it whose length is not 0, is NULL;
/// - EINVAL: fd is a listener;
/// - EMSGSIZE: more than 1024 buffers;
/// - ENODEV: this process was forked from the one that opened an embedded device;
/// - ENOTSOCK: fd is no VFD, or memory;
/// - EOPNOTSUPP: MSG_PEEK, MSG_OOB, MSG_ERRQUEUE or MSG_TRUNC is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn virtio_wl_recvmsg(fd: c_int, msg: *mut msghdr, flags: c_int) -> ssize_t {
    entry(|| {
        pointer::not_null(msg, "msg")?;
        // SAFETY: the caller's message.
        count(unsafe { virtio_wl_posix::recvmsg(fd, msg, flags, ReceivedPipes::Raw) }?)
    })
}

fn count(count: usize) -> Result<ssize_t> {
    ssize_t::try_from(count)
        .map_err(|_| Failure::new(Errno::EOVERFLOW, "more bytes than a ssize_t can count"))
}
