//! What a connection keeps until the device has room for it, as a socket's buffer does.
//!
//! The device takes a message at once, and only so many of one stream are on their way to it. libwayland
//! closes a client for whom it cannot get rid of more than a message's worth: it counts on what a socket
//! holds. So programs that use libwayland send over this.
//!
//! Nothing is kept alive by it: what a connection still keeps when its descriptor is closed is lost.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use libc::c_int;
use nix::errno::Errno;
use virtio_wl::{
    MsgFlags,
    limits::{INITIAL_CREDIT, MAX_VFDS_PER_MESSAGE},
};

use crate::{errno::errno, resolve::Resolved, table::Connection};

mod flusher;

/// Most bytes that one connection keeps: what a stream takes at the other side, and about what a Unix
/// socket holds (`net.core.wmem_default`, 208 KiB).
const MAX_BYTES: usize = INITIAL_CREDIT as usize;

/// Most descriptors that one connection keeps, each of them open here: those of one message.
const MAX_FDS: usize = MAX_VFDS_PER_MESSAGE;

/// A connection's.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    messages: VecDeque<Message>,
    bytes: usize,
    fds: usize,
    /// What the device said to something that the program had been told was sent.
    failed: Option<c_int>,
}

/// Bytes, and the descriptors that go with the first of them.
#[derive(Debug)]
struct Message {
    bytes: Vec<u8>,
    sent: usize,
    fds: Vec<OwnedFd>,
}

/// Sends what there is room for and keeps the rest, as far as it may. Never waits.
///
/// # Errors
///
/// `EAGAIN` when nothing of it can be kept; otherwise that of sending.
pub(crate) fn send(
    resolved: &Resolved<'_>,
    bufs: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut kept = resolved.connection.backlog.lock();
    kept.flush(resolved)?;
    let mut bufs = bufs.to_vec();
    let (mut sent, mut fds) = (0, fds);
    if kept.messages.is_empty() {
        let mut rest = bufs.as_mut_slice();
        loop {
            match send_on(resolved, rest, fds) {
                Ok(count) => {
                    sent += count;
                    fds = &[];
                    IoSlice::advance_slices(&mut rest, count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The error comes again with the rest.
                Err(_) if sent > 0 => return Ok(sent),
                Err(error) => return Err(error),
            }
            if rest.iter().all(|buf| buf.is_empty()) {
                return Ok(sent);
            }
        }
        bufs = rest.to_vec();
    }
    let taken = if is_remembered(&resolved.connection) {
        kept.keep(&bufs, fds)?
    } else {
        0
    };
    drop(kept);
    if taken > 0 {
        flusher::watch(resolved);
    }
    match sent + taken {
        0 => Err(Errno::EAGAIN.into()),
        count => Ok(count),
    }
}

/// Sends what was kept, as far as there is room.
///
/// # Errors
///
/// That of sending, to something that the program had been told was sent.
pub(crate) fn flush(resolved: &Resolved<'_>) -> io::Result<()> {
    resolved.connection.backlog.lock().flush(resolved)
}

/// Whether the next call will find what is kept now: strangers are resolved anew each time.
fn is_remembered(connection: &Arc<Connection>) -> bool {
    Arc::strong_count(connection) > 1
}

fn send_on(
    resolved: &Resolved<'_>,
    bufs: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let connection = &resolved.connection;
    let vfd = (resolved.fd, connection.kind);
    let stream = &connection.stream;
    resolved
        .device
        .send_on(vfd, stream, bufs, fds, MsgFlags::DONTWAIT)
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection is closed.
    fn give_up(&self) {
        *self.lock() = Kept::default();
    }

    /// Whether everything has gone, or never will.
    fn is_done(&self) -> bool {
        self.lock().messages.is_empty()
    }
}

impl Kept {
    fn flush(&mut self, resolved: &Resolved<'_>) -> io::Result<()> {
        if let Some(errno) = self.failed {
            return Err(io::Error::from_raw_os_error(errno));
        }
        while let Some(message) = self.messages.front_mut() {
            let bufs = [IoSlice::new(&message.bytes[message.sent..])];
            let fds: Vec<_> = message.fds.iter().map(AsFd::as_fd).collect();
            match send_on(resolved, &bufs, &fds) {
                Ok(count) => {
                    message.sent += count;
                    self.bytes -= count;
                    self.fds -= message.fds.len();
                    message.fds.clear();
                    if message.sent == message.bytes.len() {
                        self.messages.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => {
                    *self = Self {
                        failed: Some(errno(&error)),
                        ..Self::default()
                    };
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Keeps as many bytes as there is room for, with all descriptors or none of both.
    fn keep(&mut self, bufs: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let mut room = MAX_BYTES.saturating_sub(self.bytes);
        if room == 0 || self.fds + fds.len() > MAX_FDS {
            return Ok(0);
        }
        let mut bytes = Vec::new();
        for buf in bufs {
            let take = buf.len().min(room);
            bytes.extend_from_slice(&buf[..take]);
            room -= take;
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        let fds = fds.iter().map(|fd| fd.try_clone_to_owned());
        let fds = fds.collect::<io::Result<Vec<_>>>()?;
        let taken = bytes.len();
        self.bytes += taken;
        self.fds += fds.len();
        self.messages.push_back(Message {
            bytes,
            sent: 0,
            fds,
        });
        Ok(taken)
    }
}

#[cfg(test)]
mod tests;
