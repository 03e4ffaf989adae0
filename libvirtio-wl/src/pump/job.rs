//! One pipe being carried.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags},
    unistd::{read, write},
};

use crate::{driver::Driver, handle::OwnedVfd, limits::MAX_CHUNK};

/// Most bytes written to a pipe at once. Linux calls a pipe writable when it has room for a page, so
/// that this much does not block even a descriptor that may.
const PIPE_PAGE: usize = 4096;

/// An ordinary pipe end, a pipe VFD, and what is on its way between them.
///
/// Both close when the job is dropped, which is how either side learns of the end.
#[derive(Debug)]
pub(crate) struct Job {
    direction: Direction,
    vfd: OwnedVfd,
    pipe: OwnedFd,
    buffer: Buffer,
    /// The source has ended; what is in the buffer still goes.
    ended: bool,
    /// The driver had no room for the buffer, and may say nothing when it has.
    starved: bool,
    /// Counts the pipes of a channel.
    _count: Arc<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    /// The peer writes, the program reads.
    FromPeer,
    /// The program writes, the peer reads.
    ToPeer,
}

/// Whether a job goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    Done,
}

impl Job {
    /// Carries what the peer writes to the write end of a pipe.
    pub(crate) fn from_peer(vfd: OwnedVfd, pipe: OwnedFd, count: Arc<()>) -> Self {
        Self::new(Direction::FromPeer, vfd, pipe, count)
    }

    /// Carries what comes out of the read end of a pipe to the peer.
    pub(crate) fn to_peer(vfd: OwnedVfd, pipe: OwnedFd, count: Arc<()>) -> Self {
        Self::new(Direction::ToPeer, vfd, pipe, count)
    }

    fn new(direction: Direction, vfd: OwnedVfd, pipe: OwnedFd, count: Arc<()>) -> Self {
        Self {
            direction,
            vfd,
            pipe,
            buffer: Buffer::default(),
            ended: false,
            starved: false,
            _count: count,
        }
    }

    /// The VFD, to be sent.
    pub(crate) fn vfd(&self) -> BorrowedFd<'_> {
        self.vfd.as_fd()
    }

    pub(super) fn driver(&self) -> &dyn Driver {
        &**self.vfd.driver()
    }

    /// Whether it waits for room, which time may bring without a word.
    pub(super) fn is_starved(&self) -> bool {
        self.starved
    }

    /// What to poll: the VFD and the pipe. A source that is not to be read now is left out, because
    /// a hang-up is reported whether asked for or not.
    pub(super) fn interest(&self) -> [Option<PollFd<'_>>; 2] {
        let hungry = !self.ended && self.buffer.pending().is_empty();
        let source = |fd| hungry.then(|| PollFd::new(fd, PollFlags::POLLIN));
        // A sink is always watched, to see its reader go.
        let sink = |fd, events| Some(PollFd::new(fd, events));
        match self.direction {
            Direction::FromPeer if hungry => [
                source(self.vfd.as_fd()),
                sink(self.pipe.as_fd(), PollFlags::empty()),
            ],
            Direction::FromPeer => [None, sink(self.pipe.as_fd(), PollFlags::POLLOUT)],
            // What was read is sent at once, if there is room: drivers say either way that there is.
            Direction::ToPeer if self.starved => [
                sink(self.vfd.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT),
                None,
            ],
            Direction::ToPeer => [
                sink(self.vfd.as_fd(), PollFlags::empty()),
                source(self.pipe.as_fd()),
            ],
        }
    }

    /// Moves what can be moved, given what poll(2) said of the VFD and of the pipe.
    pub(super) fn step(&mut self, vfd: PollFlags, pipe: PollFlags) -> Progress {
        let result = match self.direction {
            Direction::FromPeer => self.step_from_peer(vfd, pipe),
            Direction::ToPeer => self.step_to_peer(vfd, pipe),
        };
        match result {
            Ok(()) if self.ended && self.buffer.pending().is_empty() => Progress::Done,
            Ok(()) => Progress::More,
            Err(error) => {
                tracing::debug!("a pipe to or from a peer broke: {error}");
                Progress::Done
            }
        }
    }

    fn step_from_peer(&mut self, vfd: PollFlags, pipe: PollFlags) -> io::Result<()> {
        if pipe.contains(PollFlags::POLLERR) {
            return Err(Errno::EPIPE.into());
        }
        if !vfd.is_empty() {
            let (driver, from) = (self.vfd.driver(), self.vfd.as_fd());
            self.ended = self.buffer.fill(|room| {
                // A pipe brings no VFDs; should it do so, they are closed.
                let mut unwanted = Vec::new();
                driver.recv(from, &mut [IoSliceMut::new(room)], &mut unwanted, true)
            })?;
        }
        if pipe.contains(PollFlags::POLLOUT) {
            let to = self.pipe.as_fd();
            self.buffer
                .drain(|bytes| Ok(write(to, &bytes[..bytes.len().min(PIPE_PAGE)])?))?;
        }
        Ok(())
    }

    fn step_to_peer(&mut self, vfd: PollFlags, pipe: PollFlags) -> io::Result<()> {
        if vfd.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
            return Err(Errno::EPIPE.into());
        }
        if !pipe.is_empty() {
            let from = self.pipe.as_fd();
            self.ended = self.buffer.fill(|room| Ok(read(from, room)?))?;
        }
        let (driver, to) = (self.vfd.driver(), self.vfd.as_fd());
        self.buffer
            .drain(|bytes| driver.send(to, &[IoSlice::new(bytes)], &[], true))?;
        self.starved = !self.buffer.pending().is_empty();
        Ok(())
    }
}

/// One message or less: the pipes at both ends buffer by themselves.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// How many of them have gone.
    start: usize,
}

impl Buffer {
    fn pending(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Replaces the content, all of which has gone, by what `source` gives; true at its end.
    fn fill(&mut self, source: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<bool> {
        debug_assert!(self.pending().is_empty());
        self.start = 0;
        self.bytes.resize(MAX_CHUNK, 0);
        let count = source(&mut self.bytes);
        self.bytes.truncate(*count.as_ref().unwrap_or(&0));
        match count {
            Ok(count) => Ok(count == 0),
            Err(error) if is_temporary(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives as much of the content to `sink` as it takes.
    fn drain(&mut self, mut sink: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        if self.pending().is_empty() {
            return Ok(());
        }
        match sink(self.pending()) {
            Ok(count) => {
                self.start += count;
                Ok(())
            }
            Err(error) if is_temporary(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
