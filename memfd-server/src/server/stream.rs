//! A stream whose owner says after each turn what it waits for next.

use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use calloop::generic::Generic;
use calloop::{EventSource, Interest, Mode, Poll, PostAction, Readiness, Token, TokenFactory};

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Bytes.
    Read,
    /// Room for bytes.
    Write,
    /// Its owner: no event at all until the source is enabled again.
    Park,
    /// Nothing more; the source is to go.
    Close,
}

/// The event source of one connection.
///
/// What it waits for is shared with the owner, who may change it while the source is
/// disabled.
#[derive(Debug)]
pub(super) struct Stream {
    generic: Generic<Rc<UnixStream>>,
    interest: Rc<Cell<Interest>>,
}

impl Stream {
    pub(super) fn new(stream: Rc<UnixStream>, interest: Rc<Cell<Interest>>) -> Self {
        let generic = Generic::new(stream, interest.get(), Mode::Level);
        Self { generic, interest }
    }
}

impl EventSource for Stream {
    type Event = ();
    type Metadata = ();
    type Ret = Next;
    type Error = std::io::Error;

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: Token,
        mut callback: F,
    ) -> Result<PostAction, Self::Error>
    where
        F: FnMut((), &mut ()) -> Next,
    {
        let mut next = None;
        self.generic.process_events(readiness, token, |_, _| {
            next = Some(callback((), &mut ()));
            Ok(PostAction::Continue)
        })?;
        let wanted = match next {
            None => return Ok(PostAction::Continue),
            Some(Next::Close) => return Ok(PostAction::Remove),
            Some(Next::Park) => return Ok(PostAction::Disable),
            Some(Next::Read) => Interest::READ,
            Some(Next::Write) => Interest::WRITE,
        };
        self.interest.set(wanted);
        let registered = self.generic.interest;
        if (registered.readable, registered.writable) == (wanted.readable, wanted.writable) {
            return Ok(PostAction::Continue);
        }
        Ok(PostAction::Reregister)
    }

    fn register(&mut self, poll: &mut Poll, factory: &mut TokenFactory) -> calloop::Result<()> {
        self.generic.interest = self.interest.get();
        self.generic.register(poll, factory)
    }

    fn reregister(&mut self, poll: &mut Poll, factory: &mut TokenFactory) -> calloop::Result<()> {
        self.generic.interest = self.interest.get();
        self.generic.reregister(poll, factory)
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.generic.unregister(poll)
    }
}
