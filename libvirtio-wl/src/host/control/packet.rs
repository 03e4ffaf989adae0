//! Packets with at most one descriptor, for both sides of the socket. Nothing blocks.

use std::fs::Permissions;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
    UnixAddr, bind, listen, recvmsg, sendmsg, socket,
};

use super::super::sys;

/// Room for more descriptors than may come, so that a peer's surplus is seen, closed
/// and refused rather than cut off by the kernel unseen.
const DESCRIPTORS_PER_PACKET: usize = 4;

/// Connections that may wait for a device's `accept`: the accept proxy, and people.
const BACKLOG: i32 = 16;

/// What one `recvmsg` gave.
#[derive(Debug)]
pub struct Packet {
    /// Bytes written to the buffer.
    pub len: usize,
    /// The packet was longer than the buffer; the rest is lost.
    pub truncated: bool,
    /// All descriptors that came; more than one is the sender's mistake.
    pub descriptors: Vec<OwnedFd>,
}

/// A socket listening at `path` with mode 0600, non-blocking. The path must be free.
///
/// # Errors
///
/// As `socket`, `bind`, `chmod` and `listen`.
pub fn bind_listener(path: &Path) -> io::Result<OwnedFd> {
    let socket = seqpacket()?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    // Nobody can connect before `listen`, so there is no moment with a wider mode.
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(socket)
}

pub(super) fn seqpacket() -> io::Result<OwnedFd> {
    Ok(socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )?)
}

/// Sends one packet, whole or not at all.
///
/// # Errors
///
/// As `sendmsg`: `WouldBlock` when the peer does not read, `BrokenPipe`, … An empty
/// packet is `InvalidInput`: its receiver could not tell it from the end.
pub fn send_packet(
    socket: impl AsFd,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    if bytes.is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let raw = descriptor.map(|fd| [fd.as_raw_fd()]);
    let rights = raw.as_ref().map(|fds| ControlMessage::ScmRights(fds));
    sendmsg::<()>(
        socket.as_fd().as_raw_fd(),
        &[IoSlice::new(bytes)],
        rights.as_slice(),
        MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// Receives one packet into `buffer`. A length of 0 is the end of the connection.
///
/// # Errors
///
/// As `recvmsg`: `WouldBlock` when there is none.
pub fn receive_packet(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Packet> {
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; DESCRIPTORS_PER_PACKET]);
    let mut iov = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(
        socket.as_fd().as_raw_fd(),
        &mut iov,
        Some(&mut space),
        MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let mut descriptors = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control {
            descriptors.extend(sys::take_received(fds));
        }
    }
    Ok(Packet {
        len: message.bytes,
        truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
        descriptors,
    })
}
