//! One client's bridge as a source of the event loop.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventSource, Interest, Mode, Poll, PostAction, Readiness, Token, TokenFactory};

use super::inbound::{BYTES_PER_TURN, Chunk, Inbound, Violation};
use super::outbound::Outbound;
use super::transport::Transport;
use super::unix;

/// Pause before a transport that cannot be polled for writing is tried again.
/// A ring of the device drains within a few hundred microseconds; longer than
/// that the client is slow by itself.
const RETRY: Duration = Duration::from_millis(2);

/// Names a link for the life of the compositor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkId(pub(crate) u64);

/// What a turn of a link came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// The display has something to read, or can go on writing.
    Fed,
    /// Nothing for the display.
    Idle,
    /// The connection is over; the source has left the loop.
    Closed,
}

/// One client's bridge.
#[derive(Debug)]
pub(crate) struct Link {
    transport: Box<dyn Transport>,
    /// Our end of the pair whose other end the display has.
    display: UnixStream,
    inbound: Inbound,
    /// Taken out of `inbound`, not yet in the display's socket.
    chunk: Chunk,
    outbound: Outbound,
    retry: Option<Timer>,
    tokens: [Option<Token>; 2],
    /// Interests as registered, to tell whether they changed.
    interests: [Interest; 2],
}

/// Why a link ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the client closed the connection")]
    Client,
    #[error("the display dropped the client")]
    Display,
    #[error("the client broke the protocol: {0}")]
    Violation(#[from] Violation),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Link {
    /// Joins a connection to a display; the second value is for the display.
    pub(crate) fn new(transport: Box<dyn Transport>) -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let link = Self {
            transport,
            display: ours,
            inbound: Inbound::default(),
            chunk: Chunk::default(),
            outbound: Outbound::default(),
            retry: None,
            tokens: [None; 2],
            interests: [Interest::EMPTY; 2],
        };
        Ok((link, theirs))
    }

    /// Interests of transport and display socket for the next turn.
    fn wanted(&self) -> [Interest; 2] {
        let stuck = !self.outbound.is_empty();
        let transport = Interest {
            readable: self.chunk.bytes.is_empty()
                && self.inbound.has_room()
                && !self.outbound.pauses_requests(),
            writable: stuck && self.transport.polls_writable(),
        };
        let display = Interest {
            readable: self.outbound.has_room(),
            writable: !self.chunk.bytes.is_empty(),
        };
        [transport, display]
    }

    /// One turn: at most one read from each side.
    fn turn(&mut self, from_client: bool, from_display: bool) -> Result<LinkState, End> {
        // A display does not write again by itself when its socket was full.
        let drained = from_display && self.outbound.has_room() && self.read_display()?;
        let mut fed = false;
        let sent = self.outbound.is_empty() || self.outbound.send(&mut *self.transport)?;
        if !sent && !self.transport.polls_writable() && self.retry.is_none() {
            self.retry = Some(Timer::from_duration(RETRY));
        }
        if from_client && self.wanted()[0].readable {
            self.read_client()?;
        }
        if self.chunk.bytes.is_empty() {
            self.chunk = self.inbound.next()?;
        }
        if !self.chunk.bytes.is_empty() {
            fed = self.write_display()?;
        }
        if self.chunk.bytes.is_empty() {
            // What is due next decides what is waited for: with all of it
            // still in `inbound`, and that full, nothing would wake this link.
            self.chunk = self.inbound.next()?;
        }
        Ok(if fed || drained {
            LinkState::Fed
        } else {
            LinkState::Idle
        })
    }

    fn read_client(&mut self) -> Result<(), End> {
        let mut bytes = [0; BYTES_PER_TURN];
        let mut fds = Vec::new();
        match self.transport.recv(&mut bytes, &mut fds) {
            Ok(0) => Err(End::Client),
            Ok(count) => Ok(self.inbound.push(&bytes[..count], fds)?),
            Err(error) => ignore_would_block(error),
        }
    }

    /// True if the display's socket had something.
    fn read_display(&mut self) -> Result<bool, End> {
        let mut bytes = [0; BYTES_PER_TURN];
        let mut fds: Vec<OwnedFd> = Vec::new();
        match unix::recv(&self.display, &mut bytes, &mut fds) {
            Ok(0) => Err(End::Display),
            Ok(count) => {
                self.outbound.push(&bytes[..count], fds);
                Ok(true)
            }
            Err(error) => ignore_would_block(error).map(|()| false),
        }
    }

    /// True if the display's socket got something.
    fn write_display(&mut self) -> Result<bool, End> {
        let fds: Vec<_> = self.chunk.fds.iter().map(AsFd::as_fd).collect();
        match unix::send(&self.display, &self.chunk.bytes, &fds) {
            Ok(sent) => {
                self.chunk.fds.clear();
                self.chunk.bytes.drain(..sent);
                Ok(sent > 0)
            }
            Err(error) => ignore_would_block(error).map(|()| false),
        }
    }

    /// Ends the link. What the display still had to say (its error message)
    /// goes out as far as the client takes it at once.
    fn close(&mut self, end: &End) {
        match end {
            End::Violation(_) => tracing::warn!(%end, "client is cut off"),
            _ => tracing::debug!(%end, "connection ends"),
        }
        if matches!(end, End::Display) {
            let _ = self.outbound.send(&mut *self.transport);
        }
    }
}

fn ignore_would_block(error: io::Error) -> Result<(), End> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error.into()),
    }
}

impl EventSource for Link {
    type Event = LinkState;
    type Metadata = ();
    type Ret = ();
    type Error = io::Error;

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: Token,
        mut callback: F,
    ) -> Result<PostAction, io::Error>
    where
        F: FnMut(LinkState, &mut ()),
    {
        let [transport, display] = self.tokens.map(|t| t == Some(token));
        if !transport && !display {
            let Some(timer) = &mut self.retry else {
                return Ok(PostAction::Continue);
            };
            let mut due = false;
            timer.process_events(readiness, token, |_, ()| {
                due = true;
                TimeoutAction::Drop
            })?;
            if !due {
                return Ok(PostAction::Continue);
            }
            self.retry = None;
        }
        // A hang-up is reported also while nobody wants to read. The client is
        // then gone, and what it asked for last does not matter any more.
        let hung_up = transport && readiness.readable && !self.interests[0].readable;
        // A display that dropped a client which reads nothing is seen the same way.
        let dropped = display && readiness.readable && !self.interests[1].readable;
        let result = if hung_up && !self.interests[0].writable {
            Err(End::Client)
        } else if dropped {
            Err(End::Display)
        } else {
            self.turn(
                transport && readiness.readable,
                display && readiness.readable,
            )
        };
        match result {
            Ok(state) => callback(state, &mut ()),
            Err(end) => {
                self.close(&end);
                callback(LinkState::Closed, &mut ());
                return Ok(PostAction::Remove);
            }
        }
        let flags = |i: [Interest; 2]| i.map(|i| (i.readable, i.writable));
        let changed = flags(self.wanted()) != flags(self.interests) || self.retry.is_some();
        Ok(if changed {
            PostAction::Reregister
        } else {
            PostAction::Continue
        })
    }

    fn register(&mut self, poll: &mut Poll, factory: &mut TokenFactory) -> calloop::Result<()> {
        let (transport, display) = (factory.token(), factory.token());
        self.tokens = [Some(transport), Some(display)];
        self.interests = self.wanted();
        // SAFETY: both descriptors are owned by `self`, which the loop
        // unregisters before it drops it.
        unsafe {
            let fd = self.transport.as_fd();
            poll.register(fd, self.interests[0], Mode::Level, transport)?;
            poll.register(&self.display, self.interests[1], Mode::Level, display)?;
        }
        if let Some(timer) = &mut self.retry {
            timer.register(poll, factory)?;
        }
        Ok(())
    }

    fn reregister(&mut self, poll: &mut Poll, factory: &mut TokenFactory) -> calloop::Result<()> {
        let (transport, display) = (factory.token(), factory.token());
        self.tokens = [Some(transport), Some(display)];
        self.interests = self.wanted();
        let fd = self.transport.as_fd();
        poll.reregister(fd, self.interests[0], Mode::Level, transport)?;
        poll.reregister(&self.display, self.interests[1], Mode::Level, display)?;
        if let Some(timer) = &mut self.retry {
            timer.reregister(poll, factory)?;
        }
        Ok(())
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        poll.unregister(self.transport.as_fd())?;
        poll.unregister(&self.display)?;
        if let Some(timer) = &mut self.retry {
            timer.unregister(poll)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
