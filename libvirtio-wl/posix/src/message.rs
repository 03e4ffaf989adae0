//! `struct msghdr`: checked on the way in, filled on the way out, as Linux does for Unix sockets.
#![allow(unsafe_code)]

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{BorrowedFd, IntoRawFd, OwnedFd, RawFd},
    ptr, slice,
};

use libc::{c_int, c_void, cmsghdr, iovec, msghdr};
use nix::errno::Errno;

use crate::resolve::borrow;

/// Buffers of one message (`UIO_MAXIOV`).
const MAX_BUFFERS: usize = 1024;

/// Bytes of one message: what Linux takes at once (`MAX_RW_COUNT`).
const MAX_BYTES: usize = 0x7fff_f000;

/// Descriptors that Linux takes at once (`SCM_MAX_FD`); more are an error whatever carries them.
const MAX_DESCRIPTORS: usize = 253;

/// Bytes of a control message before its data.
const HEADER: usize = size_of::<cmsghdr>();

const DESCRIPTOR: usize = size_of::<RawFd>();

/// A message to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) bufs: Vec<IoSlice<'a>>,
    pub(crate) fds: Vec<BorrowedFd<'a>>,
}

impl<'a> Outgoing<'a> {
    /// Reads a message.
    ///
    /// # Safety
    ///
    /// What the message points to must be valid for reading, as for sendmsg(2), for `'a`.
    pub(crate) unsafe fn read(message: *const msghdr) -> io::Result<Self> {
        // SAFETY: valid, by contract, unless it is NULL.
        let message = unsafe { message.as_ref() }.ok_or(Errno::EFAULT)?;
        if !message.msg_name.is_null() && message.msg_namelen > 0 {
            // There is nobody else to send to.
            return Err(Errno::EISCONN.into());
        }
        // SAFETY: by contract.
        let vectors = unsafe { vectors(message) }?;
        let bufs = vectors
            .iter()
            // SAFETY: by contract; NULL only where there are no bytes.
            .map(|&(base, len)| IoSlice::new(unsafe { bytes(base, len) }))
            .collect();
        // SAFETY: by contract.
        let fds = unsafe { descriptors(message) }?;
        Ok(Self { bufs, fds })
    }
}

/// A message to be filled.
pub(crate) struct Incoming<'a> {
    message: &'a mut msghdr,
    pub(crate) bufs: Vec<IoSliceMut<'a>>,
}

impl<'a> Incoming<'a> {
    /// Takes the room of a message.
    ///
    /// # Safety
    ///
    /// What the message points to must be valid for reading and writing, as for recvmsg(2), for `'a`,
    /// and used by nobody else meanwhile.
    pub(crate) unsafe fn new(message: *mut msghdr) -> io::Result<Self> {
        // SAFETY: valid, by contract, unless it is NULL.
        let message = unsafe { message.as_mut() }.ok_or(Errno::EFAULT)?;
        // SAFETY: by contract.
        let vectors = unsafe { vectors(message) }?;
        let bufs = vectors
            .iter()
            // SAFETY: by contract; NULL only where there are no bytes.
            .map(|&(base, len)| IoSliceMut::new(unsafe { bytes_mut(base, len) }))
            .collect();
        Ok(Self { message, bufs })
    }

    /// Bytes there is room for.
    pub(crate) fn room(&self) -> usize {
        self.bufs.iter().map(|buf| buf.len()).sum()
    }

    /// Writes all but the bytes. Descriptors without room are closed, and `MSG_CTRUNC` says so, or
    /// that some were `lost` before.
    pub(crate) fn finish(self, fds: Vec<OwnedFd>, lost: bool, flags: c_int) {
        let message = self.message;
        if !message.msg_name.is_null() {
            message.msg_namelen = 0;
        }
        // Linux reports this one of the flags that it was called with.
        message.msg_flags = flags & libc::MSG_CMSG_CLOEXEC;
        let room = if message.msg_control.is_null() {
            0
        } else {
            message.msg_controllen
        };
        let fitting = fds.len().min(room.saturating_sub(HEADER) / DESCRIPTOR);
        if lost || fitting < fds.len() {
            message.msg_flags |= libc::MSG_CTRUNC;
        }
        message.msg_controllen = 0;
        if fitting == 0 {
            return;
        }
        let len = HEADER + fitting * DESCRIPTOR;
        // The last control message need not be padded, and there may be no room to.
        message.msg_controllen = len.next_multiple_of(size_of::<usize>()).min(room);
        let header = cmsghdr {
            cmsg_len: len,
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        };
        let at = message.msg_control.cast::<u8>();
        // SAFETY: there is room for `len` bytes, checked above; of any alignment.
        unsafe { at.cast::<cmsghdr>().write_unaligned(header) };
        for (index, fd) in fds.into_iter().take(fitting).enumerate() {
            // SAFETY: as before.
            unsafe {
                at.add(HEADER + index * DESCRIPTOR)
                    .cast::<RawFd>()
                    .write_unaligned(fd.into_raw_fd());
            }
        }
    }
}

/// The buffers of a message, checked as far as they can be, and cut where Linux does.
///
/// # Safety
///
/// `msg_iov` points to as many of them as `msg_iovlen` says.
unsafe fn vectors(message: &msghdr) -> io::Result<Vec<(*mut c_void, usize)>> {
    let count = message.msg_iovlen;
    if count > MAX_BUFFERS {
        return Err(Errno::EMSGSIZE.into());
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    if message.msg_iov.is_null() {
        return Err(Errno::EFAULT.into());
    }
    // SAFETY: by contract.
    let vectors: &[iovec] = unsafe { slice::from_raw_parts(message.msg_iov, count) };
    let mut left = MAX_BYTES;
    vectors
        .iter()
        .map(|vector| {
            if isize::try_from(vector.iov_len).is_err() {
                return Err(Errno::EINVAL.into());
            }
            if vector.iov_base.is_null() && vector.iov_len > 0 {
                return Err(Errno::EFAULT.into());
            }
            let len = vector.iov_len.min(left);
            left -= len;
            Ok((vector.iov_base, len))
        })
        .collect()
}

/// # Safety
///
/// Valid for reading, or NULL with a length of 0.
unsafe fn bytes<'a>(base: *mut c_void, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: by contract.
    unsafe { slice::from_raw_parts(base.cast(), len) }
}

/// # Safety
///
/// Valid for writing and used by nobody else, or NULL with a length of 0.
unsafe fn bytes_mut<'a>(base: *mut c_void, len: usize) -> &'a mut [u8] {
    if len == 0 {
        return &mut [];
    }
    // SAFETY: by contract.
    unsafe { slice::from_raw_parts_mut(base.cast(), len) }
}

/// The descriptors that a message carries, in order.
///
/// # Safety
///
/// `msg_control` points to `msg_controllen` bytes.
unsafe fn descriptors<'a>(message: &msghdr) -> io::Result<Vec<BorrowedFd<'a>>> {
    let mut fds = Vec::new();
    if message.msg_control.is_null() {
        return Ok(fds);
    }
    // SAFETY: by contract.
    let mut rest =
        unsafe { slice::from_raw_parts(message.msg_control.cast::<u8>(), message.msg_controllen) };
    while rest.len() >= HEADER {
        // SAFETY: there are enough bytes, and of any alignment.
        let header = unsafe { ptr::read_unaligned(rest.as_ptr().cast::<cmsghdr>()) };
        let data = rest.get(HEADER..header.cmsg_len).ok_or(Errno::EINVAL)?;
        match (header.cmsg_level, header.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                for number in data.chunks_exact(DESCRIPTOR) {
                    let number = RawFd::from_ne_bytes(number.try_into().expect("its size"));
                    fds.push(borrow(number)?);
                }
                if fds.len() > MAX_DESCRIPTORS {
                    return Err(Errno::EINVAL.into());
                }
            }
            (libc::SOL_SOCKET, _) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "virtio_wl carries descriptors and no other control messages",
                ));
            }
            // As Linux: meant for another protocol.
            _ => {}
        }
        let next = header.cmsg_len.next_multiple_of(size_of::<usize>());
        rest = rest.get(next..).unwrap_or_default();
    }
    Ok(fds)
}

#[cfg(test)]
mod tests;
