//! One client's connection and its display's socket, joined. Without an event loop: whoever has one
//! waits for what [`Link::wanted`] says and calls [`Link::turn`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;

use crate::inbound::{BYTES_PER_TURN, Chunk, Inbound};
use crate::outbound::Outbound;
use crate::transport::Transport;
use crate::unix;

#[cfg(test)]
mod tests;

/// Pause before something that cannot be polled for is tried again ([`Turn::stuck`]). A ring of the
/// device drains within a few hundred microseconds; longer than that the client is slow by itself.
pub const RETRY: Duration = Duration::from_millis(2);

/// One client's connection and its display's socket.
#[derive(Debug)]
pub struct Link<I> {
    transport: Box<dyn Transport>,
    display: UnixStream,
    inbound: I,
    /// Taken out of `inbound`, not yet in the display's socket.
    chunk: Chunk,
    outbound: Outbound,
    /// The display's socket takes no descriptors now, for want of something its polling does not
    /// tell.
    display_stuck: bool,
    /// What was waited for before this turn.
    waited: [Want; 2],
}

/// What to wait for at a descriptor. Hang-ups count as readable, and are always reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Something to read, or the end.
    pub read: bool,
    /// Room to write.
    pub write: bool,
}

/// What a turn of a link came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The display has something to read, or can go on writing.
    pub fed: bool,
    /// Something is to be tried again after [`RETRY`], whatever polling says.
    pub stuck: bool,
}

/// Why a link ends.
#[derive(Debug, thiserror::Error)]
pub enum End<V> {
    /// The client's side is closed.
    #[error("the client closed the connection")]
    Client,
    /// The display's side is closed.
    #[error("the display dropped the client")]
    Display,
    /// What the client sent was refused.
    #[error("the client broke the protocol: {0}")]
    Violation(#[source] V),
    /// A side has failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl<I: Inbound> Link<I> {
    /// Joins a connection to a display's socket.
    pub fn new(transport: Box<dyn Transport>, display: UnixStream, inbound: I) -> Self {
        Self {
            transport,
            display,
            inbound,
            chunk: Chunk::default(),
            outbound: Outbound::default(),
            display_stuck: false,
            waited: [Want::default(); 2],
        }
    }

    /// What to poll: the client's transport, and the display's socket.
    pub fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.transport.as_fd(), self.display.as_fd()]
    }

    /// What to wait for at each until the next turn.
    pub fn wanted(&mut self) -> [Want; 2] {
        self.waited = self.interests();
        self.waited
    }

    fn interests(&self) -> [Want; 2] {
        let stuck = !self.outbound.is_empty();
        let transport = Want {
            read: self.chunk.bytes.is_empty()
                && self.inbound.has_room()
                && !self.outbound.pauses_requests(),
            write: stuck && self.transport.polls_writable(),
        };
        let display = Want {
            read: self.outbound.has_room(),
            write: !self.chunk.bytes.is_empty() && !self.display_stuck,
        };
        [transport, display]
    }

    /// One turn: at most one read from each side, which must have been reported as readable.
    ///
    /// # Errors
    /// The link is over; see [`finish`](Self::finish).
    pub fn turn(&mut self, readable: [bool; 2]) -> Result<Turn, End<I::Violation>> {
        let [from_client, from_display] = readable;
        // A hang-up is reported also while nobody wants to read. The client is then gone, and what
        // it asked for last does not matter any more.
        if from_client && self.waited[0] == Want::default() {
            return Err(End::Client);
        }
        // A display that dropped a client which reads nothing is seen the same way.
        if from_display && !self.waited[1].read {
            return Err(End::Display);
        }
        // A display does not write again by itself when its socket was full.
        let drained = from_display && self.outbound.has_room() && self.read_display()?;
        let sent = self.flush()?;
        if from_client && self.interests()[0].read {
            self.read_client()?;
        }
        self.take_next()?;
        self.display_stuck = false;
        let fed = !self.chunk.bytes.is_empty() && self.write_display()?;
        // What is due next decides what is waited for: with all of it still in `inbound`, and that
        // full, nothing would wake this link.
        self.take_next()?;
        Ok(Turn {
            fed: fed || drained,
            stuck: self.display_stuck || (!sent && !self.transport.polls_writable()),
        })
    }

    fn take_next(&mut self) -> Result<(), End<I::Violation>> {
        if self.chunk.bytes.is_empty() {
            self.chunk = self.inbound.next().map_err(End::Violation)?;
        }
        Ok(())
    }

    fn read_client(&mut self) -> Result<(), End<I::Violation>> {
        let mut bytes = [0; BYTES_PER_TURN];
        let mut fds = Vec::new();
        match self.transport.recv(&mut bytes, &mut fds) {
            Ok(0) => Err(End::Client),
            Ok(count) => self
                .inbound
                .push(&bytes[..count], fds)
                .map_err(End::Violation),
            Err(error) => ignore_would_block(error),
        }
    }

    /// True if the display's socket had something.
    fn read_display(&mut self) -> Result<bool, End<I::Violation>> {
        let mut bytes = [0; BYTES_PER_TURN];
        let mut fds: Vec<OwnedFd> = Vec::new();
        match unix::recv(&self.display, &mut bytes, &mut fds) {
            Ok(0) => Err(End::Display),
            Ok(count) => {
                self.outbound.push(&bytes[..count], fds);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(End::Display),
            Err(error) => ignore_would_block(error).map(|()| false),
        }
    }

    /// True if the display's socket got something.
    fn write_display(&mut self) -> Result<bool, End<I::Violation>> {
        let fds: Vec<_> = self.chunk.fds.iter().map(AsFd::as_fd).collect();
        match unix::send(&self.display, &self.chunk.bytes, &fds) {
            Ok(sent) => {
                self.chunk.fds.clear();
                self.chunk.bytes.drain(..sent);
                Ok(sent > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // It has left a last word, which says why.
                while self.outbound.has_room() && self.read_display()? {}
                Err(End::Display)
            }
            // All users' descriptors on their way between processes have a common bound, which
            // another link may have used up. It passes.
            Err(error) if error.raw_os_error() == Some(Errno::ETOOMANYREFS as i32) => {
                self.display_stuck = true;
                Ok(false)
            }
            Err(error) => ignore_would_block(error).map(|()| false),
        }
    }

    /// Sends what the client takes of what the display has said; true if that is all.
    ///
    /// # Errors
    /// The client's side has failed.
    pub fn flush(&mut self) -> io::Result<bool> {
        Ok(self.outbound.is_empty() || self.outbound.send(&mut *self.transport)?)
    }

    /// Bytes taken in and not yet passed on, both ways.
    pub fn pending(&self) -> usize {
        self.chunk.bytes.len() + self.outbound.len()
    }

    /// After the end: says so in the log. What the display still had to say (its error message)
    /// goes out as far as the client takes it at once; true if nothing is left of it, or nobody to
    /// take it.
    pub fn finish(&mut self, end: &End<I::Violation>) -> bool {
        match end {
            End::Violation(_) => tracing::warn!(%end, "client is cut off"),
            _ => tracing::debug!(%end, "connection ends"),
        }
        !matches!(end, End::Display) || self.flush().unwrap_or(true)
    }
}

fn ignore_would_block<V>(error: io::Error) -> Result<(), End<V>> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error.into()),
    }
}
