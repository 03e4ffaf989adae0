//! The calls.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use bitflags::bitflags;
use libc::{c_int, msghdr};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::pipe2,
};
use virtio_wl::{
    Channel, MsgFlags, Peer, PipeDirection, Result, Vfd, VfdKind, bare::ListenerState,
};

use crate::{
    backlog,
    message::{Incoming, Outgoing},
    process,
    resolve::{Resolved, identify, resolve},
    table::{self, Connection, Role},
};

bitflags! {
    /// How [`accept`] behaves.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AcceptFlags: u32 {
        /// The new descriptor is closed by execve(2).
        const CLOEXEC = 1;
        /// Calls on the new descriptor do not wait.
        const NONBLOCK = 2;
        /// This call does not wait.
        const DONTWAIT = 4;
    }
}

/// What the receiver gets for a pipe that was sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceivedPipes {
    /// The VFD.
    Raw,
    /// An end of an ordinary pipe, whose bytes are carried over in the background. For programs that
    /// know nothing of VFDs, and write, poll or pass on what they get.
    Carried,
}

/// Connects to a context of the host.
///
/// # Errors
///
/// Those of [`Device::connect`](virtio_wl::Device::connect), and of opening the device.
pub fn connect(name: &str) -> Result<OwnedFd> {
    open(name, Role::Plain)
}

/// Opens a context on which the host announces connections. Readable while one waits.
///
/// # Errors
///
/// As [`connect`].
pub fn listen(name: &str) -> Result<OwnedFd> {
    open(name, Role::Listener(ListenerState::default()))
}

fn open(name: &str, role: Role) -> Result<OwnedFd> {
    let channel = process::device()?.connect(name)?;
    hand_out(channel, role, false).map_err(|source| virtio_wl::Error::Connect {
        name: virtio_wl::ContextName::new(name).unwrap_or(virtio_wl::ContextName::DEFAULT),
        source,
    })
}

/// Takes the next connection of a listener, as accept4(2) does.
///
/// # Errors
///
/// * `EAGAIN`: none waits, and the call is not to.
/// * `EINVAL`: a VFD, but no listener. `ENOTSOCK`: no VFD.
/// * `ENOTCONN`: the host has closed the listener.
/// * `EMFILE`, `ENOMEM`, `ENOSPC` ...: the connection cannot be opened now, and is tried again by the
///   next call.
pub fn accept(listener: BorrowedFd<'_>, flags: AcceptFlags) -> io::Result<(OwnedFd, Peer)> {
    let Resolved {
        device,
        fd,
        connection,
    } = resolve(listener.as_raw_fd())?;
    let Role::Listener(state) = &connection.role else {
        return Err(Errno::EINVAL.into());
    };
    let wait = !flags.contains(AcceptFlags::DONTWAIT) && !connection.is_nonblocking();
    let (channel, peer) = loop {
        match device.accept_on(fd, &connection.stream, state) {
            Err(error) if wait && error.kind() == io::ErrorKind::WouldBlock => {
                device.wait_readable(fd)?;
            }
            result => break result?,
        }
    };
    let nonblocking = flags.contains(AcceptFlags::NONBLOCK);
    let fd = hand_out(channel, Role::Accepted(peer.clone()), nonblocking)?;
    if !flags.contains(AcceptFlags::CLOEXEC) {
        inherit(&fd)?;
    }
    Ok((fd, peer))
}

/// Who is at the other end of an accepted connection, in the words of the host; `None` for other
/// VFDs of this process.
///
/// # Errors
///
/// `EBADF`, `ENOTSOCK`.
pub fn peer(fd: BorrowedFd<'_>) -> io::Result<Option<Peer>> {
    match &resolve(fd.as_raw_fd())?.connection.role {
        Role::Accepted(peer) => Ok(Some(peer.clone())),
        _ => Ok(None),
    }
}

/// What a descriptor is; `None` when it is no VFD.
///
/// # Errors
///
/// `EBADF`, and those of opening the device for a VFD that was inherited.
pub fn kind(fd: BorrowedFd<'_>) -> io::Result<Option<VfdKind>> {
    Ok(identify(fd)?.map(|(_, kind)| kind))
}

/// Whether calls on a VFD, and on all its duplicates, fail with `EAGAIN` rather than wait.
///
/// # Errors
///
/// `EBADF`; `ENOTSOCK` when it is none that was handed out here.
pub fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    let Some(connection) = table::get(fd)? else {
        // Whether it is open was not looked at if there are none.
        fcntl(fd, FcntlArg::F_GETFD)?;
        return Err(Errno::ENOTSOCK.into());
    };
    connection.set_nonblocking(nonblocking);
    Ok(())
}

/// Creates a pipe and returns the end that `direction` names; sending it passes the other one.
///
/// # Errors
///
/// Those of [`Device::pipe`](virtio_wl::Device::pipe), and of opening the device.
pub fn pipe(direction: PipeDirection, nonblocking: bool) -> Result<OwnedFd> {
    let channel = process::device()?.pipe(direction)?;
    hand_out(channel, Role::Plain, nonblocking)
        .map_err(|source| virtio_wl::Error::Pipe { direction, source })
}

/// Allocates shared memory of at least `size` bytes.
///
/// # Errors
///
/// Those of [`Device::allocate`](virtio_wl::Device::allocate), and of opening the device.
pub fn allocate(size: u64) -> Result<OwnedFd> {
    Ok(process::device()?.allocate(size)?.into_fd())
}

/// sendmsg(2).
///
/// Takes as much as a Unix socket does: everything when it may wait, else what there is room for.
/// No signal is raised. The flags `MSG_DONTWAIT` and `MSG_NOSIGNAL` are known, others are ignored.
///
/// # Safety
///
/// As for sendmsg(2): the message and what it points to must be valid for reading.
///
/// # Errors
///
/// * `EAGAIN`, `EBADF`, `EINVAL`, `EFAULT` (for NULL; other invalid addresses end the process), `EISCONN`
///   (with an address), `EMSGSIZE` (more than 1024 buffers), `EPIPE`: as there.
/// * `ENOTSOCK`: no VFD, or one of memory. `ENOTCONN`: a listener.
/// * `EINVAL` also for more than 28 descriptors, descriptors without a byte, descriptors that cannot
///   be sent, and control messages other than `SCM_RIGHTS`.
/// * `EOPNOTSUPP`: `MSG_OOB`.
/// * `EMFILE`, `EDQUOT`, `ENOMEM` ...: a descriptor cannot be converted.
#[allow(unsafe_code)]
pub unsafe fn sendmsg(fd: RawFd, message: *const msghdr, flags: c_int) -> io::Result<usize> {
    let resolved = resolve(fd)?;
    if resolved.connection.is_listener() {
        return Err(Errno::ENOTCONN.into());
    }
    if flags & libc::MSG_OOB != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    // SAFETY: by contract.
    let mut message = unsafe { Outgoing::read(message) }?;
    send_all(&resolved, &mut message.bufs, &message.fds, flags)
}

/// As [`sendmsg`], for programs that count on what a socket holds, as libwayland does: never waits, and
/// keeps what the device has no room for now, up to 256 KiB and 28 descriptors for a connection.
///
/// What is kept is sent by later calls for the connection, [`recvmsg`] among them, or by a thread. An
/// error that it meets is that of the next call. It is lost when the connection is closed.
///
/// # Safety
///
/// As for [`sendmsg`].
///
/// # Errors
///
/// As for [`sendmsg`].
#[allow(unsafe_code)]
pub unsafe fn sendmsg_buffered(
    fd: RawFd,
    message: *const msghdr,
    flags: c_int,
) -> io::Result<usize> {
    let resolved = resolve(fd)?;
    if flags & libc::MSG_OOB != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    // SAFETY: by contract.
    let message = unsafe { Outgoing::read(message) }?;
    backlog::send(&resolved, &message.bufs, &message.fds)
}

fn send_all(
    resolved: &Resolved<'_>,
    mut bufs: &mut [IoSlice<'_>],
    mut fds: &[BorrowedFd<'_>],
    flags: c_int,
) -> io::Result<usize> {
    let connection = &resolved.connection;
    let vfd = (resolved.fd, connection.kind);
    let wait = flags & libc::MSG_DONTWAIT == 0 && !connection.is_nonblocking();
    let flags = if wait {
        MsgFlags::empty()
    } else {
        MsgFlags::DONTWAIT
    };
    let mut sent = 0;
    loop {
        let result = resolved
            .device
            .send_on(vfd, &connection.stream, bufs, fds, flags);
        match result {
            Ok(count) => {
                sent += count;
                fds = &[];
                IoSlice::advance_slices(&mut bufs, count);
            }
            // The error comes again with the rest.
            Err(_) if sent > 0 => return Ok(sent),
            Err(error) => return Err(error),
        }
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(sent);
        }
    }
}

/// recvmsg(2).
///
/// The flags `MSG_DONTWAIT`, `MSG_WAITALL` and `MSG_CMSG_CLOEXEC` are known. Descriptors without room
/// are closed, and `MSG_CTRUNC` is reported. They may come with earlier bytes than they were sent
/// with, never with later ones.
///
/// # Safety
///
/// As for recvmsg(2): the message and what it points to must be valid for writing.
///
/// # Errors
///
/// * `EAGAIN`, `EBADF`, `EFAULT` (for NULL), `EINVAL` (also for a listener), `EMSGSIZE`: as there.
/// * `ENOTSOCK`: no VFD, or one of memory.
/// * `EOPNOTSUPP`: `MSG_PEEK`, `MSG_OOB`, `MSG_ERRQUEUE` or `MSG_TRUNC`.
/// * `EPROTO`: the peer sends descriptors without end and no bytes.
#[allow(unsafe_code)]
pub unsafe fn recvmsg(
    fd: RawFd,
    message: *mut msghdr,
    flags: c_int,
    pipes: ReceivedPipes,
) -> io::Result<usize> {
    let resolved = resolve(fd)?;
    if resolved.connection.is_listener() {
        // Its bytes are announcements.
        return Err(Errno::EINVAL.into());
    }
    let unknown = libc::MSG_PEEK | libc::MSG_OOB | libc::MSG_ERRQUEUE | libc::MSG_TRUNC;
    if flags & unknown != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    // What cannot be sent is for the next sender to hear: there may be something to receive still.
    let _ = backlog::flush(&resolved);
    // SAFETY: by contract.
    let mut message = unsafe { Incoming::new(message) }?;
    let mut vfds = Vec::new();
    let count = if message.room() == 0 {
        receive_nothing(&resolved, flags)?
    } else {
        receive(&resolved, &mut message.bufs, &mut vfds, flags)?
    };
    let expected = vfds.len();
    let keep = flags & libc::MSG_CMSG_CLOEXEC == 0;
    // As Linux: those behind one that cannot be had are lost, the bytes are not.
    let fds: Vec<_> = vfds
        .into_iter()
        .map_while(|vfd| {
            hand_over(vfd, &resolved.connection, pipes, keep)
                .inspect_err(|error| tracing::warn!("a received descriptor is lost: {error}"))
                .ok()
        })
        .collect();
    let lost = fds.len() < expected;
    message.finish(fds, lost, flags);
    Ok(count)
}

fn receive(
    resolved: &Resolved<'_>,
    mut bufs: &mut [IoSliceMut<'_>],
    vfds: &mut Vec<Vfd>,
    flags: c_int,
) -> io::Result<usize> {
    let Resolved {
        device,
        fd,
        connection,
    } = resolved;
    let wait = flags & libc::MSG_DONTWAIT == 0 && !connection.is_nonblocking();
    let whole = wait && flags & libc::MSG_WAITALL != 0;
    let how = if wait {
        MsgFlags::empty()
    } else {
        MsgFlags::DONTWAIT
    };
    let mut received = 0;
    loop {
        match device.recv_on(*fd, &connection.stream, bufs, vfds, how) {
            Ok(0) => return Ok(received),
            Ok(count) => {
                received += count;
                IoSliceMut::advance_slices(&mut bufs, count);
            }
            Err(_) if received > 0 => return Ok(received),
            Err(error) => return Err(error),
        }
        // Descriptors end a message, however long it is to be.
        if !whole || !vfds.is_empty() || bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(received);
        }
    }
}

/// Without room, what there is to receive stays, and whether there is any is told all the same.
fn receive_nothing(resolved: &Resolved<'_>, flags: c_int) -> io::Result<usize> {
    if flags & libc::MSG_DONTWAIT == 0 && !resolved.connection.is_nonblocking() {
        resolved.device.wait_readable(resolved.fd)?;
        return Ok(0);
    }
    // What the device has sent shows when it has been dispatched.
    let _ = resolved.device.dispatch();
    let mut fds = [PollFd::new(resolved.fd, PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::ZERO)? {
        0 => Err(Errno::EAGAIN.into()),
        _ => Ok(0),
    }
}

/// What the program gets for a VFD that was received over `connection`; `keep`: over execve(2).
fn hand_over(
    vfd: Vfd,
    connection: &Connection,
    pipes: ReceivedPipes,
    keep: bool,
) -> io::Result<OwnedFd> {
    let fd = match vfd {
        Vfd::Memory(memory) => memory.into_fd(),
        Vfd::Stream(channel)
            if pipes == ReceivedPipes::Carried
                && matches!(channel.kind(), VfdKind::Pipe { .. }) =>
        {
            carry(channel, connection)?
        }
        Vfd::Stream(channel) => hand_out(channel, Role::Plain, false)?,
    };
    if keep {
        inherit(&fd)?;
    }
    Ok(fd)
}

fn carry(channel: Channel, connection: &Connection) -> io::Result<OwnedFd> {
    let writable = channel.is_writable();
    channel.into_pipe_of(&connection.stream).or_else(|error| {
        tracing::warn!("a pipe of a peer is not carried: {error}");
        broken_pipe(writable)
    })
}

/// An end of a pipe whose other end is closed.
fn broken_pipe(writable: bool) -> io::Result<OwnedFd> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    Ok(if writable { writer } else { reader })
}

/// Gives a VFD away, and remembers what there is to know of it.
fn hand_out(channel: Channel, role: Role, nonblocking: bool) -> io::Result<OwnedFd> {
    let connection = Connection::new(channel.kind(), role, nonblocking);
    let fd = OwnedFd::from(channel);
    table::insert(&fd, connection)?;
    Ok(fd)
}

/// Takes close-on-exec off.
fn inherit(fd: &OwnedFd) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}
