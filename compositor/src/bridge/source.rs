//! One client's bridge as a source of the event loop.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::net::UnixStream;

use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventSource, Interest, Mode, Poll, PostAction, Readiness, Token, TokenFactory};
use virtio_wl_bridge::link::RETRY;
use virtio_wl_bridge::{Link, Transport, Want};

use super::messages::Messages;

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
pub(crate) struct LinkSource {
    link: Link<Messages>,
    retry: Option<Timer>,
    tokens: [Option<Token>; 2],
    /// As registered, to tell whether they changed.
    wanted: [Want; 2],
}

impl LinkSource {
    /// Joins a connection to a display; the second value is for the display.
    pub(crate) fn new(transport: Box<dyn Transport>) -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let source = Self {
            link: Link::new(transport, ours, Messages::default()),
            retry: None,
            tokens: [None; 2],
            wanted: [Want::default(); 2],
        };
        Ok((source, theirs))
    }
}

impl EventSource for LinkSource {
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
        let about = self.tokens.map(|t| t == Some(token));
        if about == [false; 2] {
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
        match self.link.turn(about.map(|it| it && readiness.readable)) {
            Ok(turn) => {
                if turn.stuck && self.retry.is_none() {
                    self.retry = Some(Timer::from_duration(RETRY));
                }
                callback(
                    match turn.fed {
                        true => LinkState::Fed,
                        false => LinkState::Idle,
                    },
                    &mut (),
                );
            }
            Err(end) => {
                self.link.finish(&end);
                callback(LinkState::Closed, &mut ());
                return Ok(PostAction::Remove);
            }
        }
        let before = self.wanted;
        let changed = self.link.wanted() != before || self.retry.is_some();
        Ok(if changed {
            PostAction::Reregister
        } else {
            PostAction::Continue
        })
    }

    fn register(&mut self, poll: &mut Poll, factory: &mut TokenFactory) -> calloop::Result<()> {
        let tokens = [factory.token(), factory.token()];
        self.tokens = tokens.map(Some);
        self.wanted = self.link.wanted();
        for ((fd, want), token) in self.link.fds().into_iter().zip(self.wanted).zip(tokens) {
            // SAFETY: both descriptors are owned by `self`, which the loop
            // unregisters before it drops it.
            unsafe { poll.register(fd, interest(want), Mode::Level, token)? };
        }
        if let Some(timer) = &mut self.retry {
            timer.register(poll, factory)?;
        }
        Ok(())
    }

    fn reregister(&mut self, poll: &mut Poll, factory: &mut TokenFactory) -> calloop::Result<()> {
        let tokens = [factory.token(), factory.token()];
        self.tokens = tokens.map(Some);
        self.wanted = self.link.wanted();
        for ((fd, want), token) in self.link.fds().into_iter().zip(self.wanted).zip(tokens) {
            poll.reregister(fd, interest(want), Mode::Level, token)?;
        }
        if let Some(timer) = &mut self.retry {
            timer.reregister(poll, factory)?;
        }
        Ok(())
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        for fd in self.link.fds() {
            poll.unregister(fd)?;
        }
        if let Some(timer) = &mut self.retry {
            timer.unregister(poll)?;
        }
        Ok(())
    }
}

fn interest(want: Want) -> Interest {
    Interest {
        readable: want.read,
        writable: want.write,
    }
}

#[cfg(test)]
mod tests;
