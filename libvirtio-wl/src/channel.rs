//! Byte streams that carry descriptors.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use bitflags::bitflags;
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    unistd::pipe2,
};

use crate::{
    convert::Outgoing,
    device::Inner,
    handle::OwnedVfd,
    limits::{MAX_CHUNK, MAX_VFDS_PER_MESSAGE},
    pump::Job,
    stream::{Stream, StreamState},
    vfd::Vfd,
    wire::VfdKind,
};

#[cfg(test)]
mod tests;

/// Most buffers of one [`Channel::send`] that are looked at; the rest counts as not sent. Wayland
/// libraries use two.
const MAX_SLICES: usize = 16;

bitflags! {
    /// How [`Channel::send`] and [`Channel::recv`] behave.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct MsgFlags: u32 {
        /// Return `EAGAIN` instead of waiting.
        const DONTWAIT = 1;
    }
}

/// A connection to a context, or an end of a pipe.
///
/// Poll its descriptor ([`AsFd`]): readable when there is something to receive, hung up at the end
/// of the stream. Writability is not shown by every driver; assume it. All I/O goes through
/// [`send`](Self::send) and [`recv`](Self::recv): read(2) and write(2) on the descriptor do not do
/// the same with every driver, and can lose data.
#[derive(Debug)]
pub struct Channel {
    device: Arc<Inner>,
    stream: Stream,
}

impl Channel {
    pub(crate) fn new(device: Arc<Inner>, vfd: OwnedVfd) -> Self {
        Self {
            device,
            stream: Stream::from(vfd),
        }
    }

    /// What it is: [`VfdKind::Socket`], [`VfdKind::Pipe`] or [`VfdKind::Fence`].
    pub fn kind(&self) -> VfdKind {
        self.stream.kind()
    }

    /// Whether something can arrive on it.
    pub fn is_readable(&self) -> bool {
        matches!(
            self.kind(),
            VfdKind::Socket | VfdKind::Pipe { read: true, .. }
        )
    }

    /// Whether it can be sent to.
    pub fn is_writable(&self) -> bool {
        matches!(
            self.kind(),
            VfdKind::Socket | VfdKind::Pipe { write: true, .. }
        )
    }

    /// Sends bytes and descriptors, as sendmsg(2) on a stream socket does.
    ///
    /// Returns the number of bytes taken: at least one, and less than given when there are more than
    /// 3968. All descriptors go with the first byte, or nothing goes. They are borrowed: the caller
    /// closes its own. A descriptor may be
    ///
    /// * a VFD of this device: it goes as it is (of a pipe made by [`Device::pipe`], the *other* end
    ///   goes, once);
    /// * ordinary memory, that is a regular file: its present content goes, as fresh shared memory
    ///   whose size is rounded up to whole pages;
    /// * an ordinary pipe: the peer gets a pipe whose bytes this process carries over in the
    ///   background until either end closes.
    ///
    /// Nothing has been consumed when this fails, so the same call can be repeated.
    ///
    /// # Errors
    ///
    /// * `EPIPE`: the peer is gone. No signal is raised.
    /// * `EAGAIN`: it would have to wait, and [`MsgFlags::DONTWAIT`] is set.
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput): more than 28 descriptors, descriptors
    ///   without a byte or on a pipe, or one of a kind that cannot be sent.
    /// * `EMFILE`: more ordinary pipes than are carried for one channel
    ///   ([`MAX_PUMPED_PER_CHANNEL`]) or for one device.
    /// * whatever else stood in the way of converting a descriptor: `EDQUOT`, `ENOMEM` ...
    ///
    /// [`Device::pipe`]: crate::Device::pipe
    /// [`MAX_PUMPED_PER_CHANNEL`]: crate::limits::MAX_PUMPED_PER_CHANNEL
    pub fn send(
        &self,
        bufs: &[IoSlice<'_>],
        fds: &[BorrowedFd<'_>],
        flags: MsgFlags,
    ) -> io::Result<usize> {
        let (fd, state) = (self.as_fd(), self.stream.state());
        self.device.send(fd, self.kind(), state, bufs, fds, flags)
    }

    /// Receives bytes and descriptors, as recvmsg(2) on a stream socket does.
    ///
    /// Returns the number of bytes put into `bufs`, and appends the descriptors that came with them
    /// to `fds`. They may come with earlier bytes than they were sent with, never with later ones;
    /// usually at most 28 come at once. 0 means the end of the stream.
    ///
    /// # Errors
    ///
    /// * `EAGAIN`: nothing is there, and [`MsgFlags::DONTWAIT`] is set.
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput): no room for a byte in `bufs`.
    /// * `EPROTO`: the peer sends descriptors without end and no bytes.
    pub fn recv(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        fds: &mut Vec<Vfd>,
        flags: MsgFlags,
    ) -> io::Result<usize> {
        let (fd, state) = (self.as_fd(), self.stream.state());
        self.device.recv(fd, state, bufs, fds, flags)
    }

    /// Turns a received pipe into an end of an ordinary one, for a program that knows nothing of
    /// VFDs. Its bytes are carried over in the background until either end closes, as those of
    /// pipes that are sent.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) when it is no pipe, `EMFILE` when too many
    /// are carried already, and whatever creating a pipe gives.
    pub fn into_pipe(self) -> io::Result<OwnedFd> {
        let count = Arc::clone(self.stream.state().pumped());
        self.carry(count)
    }

    /// See [`into_pipe`](Self::into_pipe); a clone of `count` is held while it is carried.
    pub(crate) fn carry(self, count: Arc<()>) -> io::Result<OwnedFd> {
        let VfdKind::Pipe { write, .. } = self.kind() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "only a pipe can be carried over",
            ));
        };
        self.device.pump.check_room(1)?;
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        let device = self.device;
        let vfd = self.stream.into_vfd();
        let (ours, theirs) = if write {
            (reader, writer)
        } else {
            (writer, reader)
        };
        // Only ours: the two ends have a flag each.
        fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        device.pump.start(if write {
            Job::to_peer(vfd, ours, count)
        } else {
            Job::from_peer(vfd, ours, count)
        });
        Ok(theirs)
    }

    pub(crate) fn device(&self) -> &Arc<Inner> {
        &self.device
    }
}

impl Inner {
    /// See [`Channel::send`].
    pub(crate) fn send(
        &self,
        vfd: BorrowedFd<'_>,
        kind: VfdKind,
        state: &StreamState,
        bufs: &[IoSlice<'_>],
        fds: &[BorrowedFd<'_>],
        flags: MsgFlags,
    ) -> io::Result<usize> {
        let nonblock = flags.contains(MsgFlags::DONTWAIT);
        let (slices, used) = first_chunk(bufs);
        let chunk = &slices[..used];
        if fds.is_empty() {
            if chunk.is_empty() {
                return Ok(0);
            }
            return self.driver.send(vfd, chunk, &[], nonblock);
        }
        check_fds(kind, fds.len(), chunk.is_empty())?;
        let outgoing = Outgoing::prepare(self, state, fds)?;
        let sent = self.driver.send(vfd, chunk, &outgoing.vfds(), nonblock)?;
        outgoing.sent(&self.pump);
        Ok(sent)
    }

    /// See [`Channel::recv`].
    pub(crate) fn recv(
        self: &Arc<Self>,
        vfd: BorrowedFd<'_>,
        state: &StreamState,
        bufs: &mut [IoSliceMut<'_>],
        fds: &mut Vec<Vfd>,
        flags: MsgFlags,
    ) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "receiving needs room for a byte",
            ));
        }
        let mut arrived = Vec::new();
        let count = if flags.contains(MsgFlags::DONTWAIT) {
            state.try_recv(&self.driver, vfd, bufs, &mut arrived)?
        } else {
            state.recv(&self.driver, vfd, bufs, &mut arrived, None)?
        };
        fds.extend(arrived.into_iter().map(|vfd| Vfd::new(self, vfd)));
        Ok(count)
    }
}

fn check_fds(kind: VfdKind, count: usize, no_data: bool) -> io::Result<()> {
    let fault = if count > MAX_VFDS_PER_MESSAGE {
        "more than 28 descriptors in one message"
    } else if no_data {
        "descriptors need at least one byte to travel with"
    } else if kind != VfdKind::Socket {
        "only sockets carry descriptors"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, fault))
}

/// The front of `bufs` that one message takes, without empty slices, and how many slices that is.
fn first_chunk<'a>(bufs: &'a [IoSlice<'_>]) -> ([IoSlice<'a>; MAX_SLICES], usize) {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let mut used = 0;
    let mut room = MAX_CHUNK;
    for (slot, buf) in slices
        .iter_mut()
        .zip(bufs.iter().filter(|buf| !buf.is_empty()))
    {
        if room == 0 {
            break;
        }
        let take = buf.len().min(room);
        *slot = IoSlice::new(&buf[..take]);
        used += 1;
        room -= take;
    }
    (slices, used)
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl From<Channel> for OwnedFd {
    /// The bare VFD, which closes when its last duplicate does; descriptors that have arrived ahead
    /// of their bytes are closed.
    fn from(channel: Channel) -> Self {
        channel.stream.into_vfd().into_fd()
    }
}
