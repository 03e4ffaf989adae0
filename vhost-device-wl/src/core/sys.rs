//! The few system calls that need `unsafe` or raw descriptors, each wrapped so
//! that the rest of the crate sees only owned and borrowed descriptors.

#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

/// Most descriptors one message carries in either direction: the limit of the
/// virtio_wl protocol, and libwayland's own.
pub(crate) const MAX_FDS: usize = 28;

/// What one receive call returned.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Bytes placed at the start of the buffer; 0 is the end of the stream.
    pub(crate) len: usize,
    /// Descriptors that came with these bytes, all close-on-exec.
    pub(crate) fds: Vec<OwnedFd>,
    /// The kernel could not deliver all descriptors (more than [`MAX_FDS`], or
    /// no free descriptor here). The stream is no longer trustworthy.
    pub(crate) truncated: bool,
}

/// Receives once from a stream socket without blocking, whatever the socket's
/// own mode is: `O_NONBLOCK` belongs to the open file description, which a
/// received socket may share with its sender.
///
/// The `nix` wrapper is not used because it hides descriptors that were installed
/// along with a truncation, and so leaks them whenever a peer sends too many.
pub(crate) fn recv(socket: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<Received> {
    recv_with(socket, buf, libc::MSG_DONTWAIT)
}

/// As [`recv`], but waits as long as the socket's own time-out says.
pub(crate) fn recv_blocking(socket: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<Received> {
    recv_with(socket, buf, 0)
}

fn recv_with(socket: BorrowedFd<'_>, buf: &mut [u8], flags: libc::c_int) -> io::Result<Received> {
    let mut control = ControlBuffer([0; CONTROL_LEN]);
    let mut iov = libc::iovec {
        iov_base: buf.as_mut_ptr().cast(),
        iov_len: buf.len(),
    };
    // SAFETY: all-zero bytes are a valid `msghdr`: null pointers and zero lengths.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    msg.msg_iov = &raw mut iov;
    msg.msg_iovlen = 1;
    msg.msg_control = (&raw mut control).cast();
    msg.msg_controllen = CONTROL_LEN;
    let flags = flags | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `msg` points to one buffer of the stated length, and to a control
    // buffer of the stated length and alignment; both outlive the call.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut msg, flags) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    let mut received = Received {
        len,
        truncated: msg.msg_flags & libc::MSG_CTRUNC != 0,
        ..Received::default()
    };
    // SAFETY: the kernel has filled `msg` and its control buffer in.
    let mut cmsg = unsafe { libc::CMSG_FIRSTHDR(&raw const msg) };
    while !cmsg.is_null() {
        // SAFETY: `cmsg` is a header inside the control buffer, with as much data
        // behind it as it says. Each descriptor was created for us by this call,
        // so nothing else owns it.
        unsafe {
            let header = cmsg.read_unaligned();
            if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let data = libc::CMSG_DATA(cmsg).cast::<RawFd>();
                let bytes = header.cmsg_len - libc::CMSG_LEN(0) as usize;
                for i in 0..bytes / size_of::<RawFd>() {
                    let fd = data.add(i).read_unaligned();
                    received.fds.push(OwnedFd::from_raw_fd(fd));
                }
            }
            cmsg = libc::CMSG_NXTHDR(&raw const msg, cmsg);
        }
    }
    Ok(received)
}

/// Room for one control message with [`MAX_FDS`] descriptors.
// SAFETY: pure arithmetic.
const CONTROL_LEN: usize =
    unsafe { libc::CMSG_SPACE((MAX_FDS * size_of::<RawFd>()) as u32) } as usize;

#[repr(C, align(8))]
struct ControlBuffer([u8; CONTROL_LEN]);

const _: () = assert!(align_of::<ControlBuffer>() >= align_of::<libc::cmsghdr>());

/// Sends once to a stream socket, without blocking and without `SIGPIPE`.
/// All descriptors go with the first byte, or the call fails.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let iov = [IoSlice::new(bytes)];
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let cmsgs: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    Ok(sendmsg::<()>(socket.as_raw_fd(), &iov, cmsgs, flags, None)?)
}

/// The number behind a descriptor, for diagnostics and `/proc` paths only.
pub(crate) fn number(fd: impl AsFd) -> RawFd {
    fd.as_fd().as_raw_fd()
}

/// Borrows the descriptor of a foreign type that only gives its number away.
pub(crate) fn borrow(owner: &impl AsRawFd) -> BorrowedFd<'_> {
    // SAFETY: the owner keeps its descriptor open for as long as it is borrowed.
    unsafe { BorrowedFd::borrow_raw(owner.as_raw_fd()) }
}

/// Owns a descriptor that a system call has just returned.
pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass the result of a call that creates a descriptor, so nothing
    // else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
