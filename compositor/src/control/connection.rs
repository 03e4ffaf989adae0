//! One control connection: lines in, replies out, one request at a time.
//!
//! While a request is being answered (it waits for a frame, for a window, or
//! for the client to read) nothing is read: a connection never holds more than one
//! request line and one reply.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use calloop::generic::Generic;
use calloop::{Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::commands;
use super::protocol::{MAX_REQUEST_BYTES, Reply, Request};
use super::server::Shared;
use crate::state::Compositor;

/// One client of the control socket.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    shared: Rc<Shared>,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Received and not yet a whole line, or not yet its turn.
    input: Vec<u8>,
    /// The reply being sent.
    output: Option<Outgoing>,
    /// A request is being answered.
    busy: bool,
    /// Within [`Connection::run_lines`].
    running: bool,
    /// Peer gone or misbehaving; nothing is to be done any more.
    closed: bool,
    /// The source that reads.
    reader: Option<RegistrationToken>,
}

#[derive(Debug)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    /// Goes with the first byte.
    fd: Option<OwnedFd>,
}

impl Connection {
    /// Serves `stream`, which must be non-blocking, on the compositor's loop.
    pub(super) fn serve(
        stream: UnixStream,
        shared: Rc<Shared>,
        compositor: &Compositor,
    ) -> io::Result<()> {
        let connection = Rc::new(Self {
            stream,
            shared,
            state: RefCell::default(),
        });
        let source = Generic::new(connection.stream.try_clone()?, Interest::READ, Mode::Level);
        let served = Rc::clone(&connection);
        let token = compositor
            .handle()
            .insert_source(source, move |_, _, compositor| {
                Ok(served.readable(compositor))
            })
            .map_err(|error| io::Error::other(error.to_string()))?;
        connection.state.borrow_mut().reader = Some(token);
        Ok(())
    }

    /// What commands share between connections.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Answers the request in progress.
    pub(super) fn reply(
        self: &Rc<Self>,
        compositor: &mut Compositor,
        reply: &Reply,
        fd: Option<OwnedFd>,
    ) {
        let mut bytes = serde_json::to_vec(reply).unwrap_or_else(|error| {
            tracing::error!(%error, "a reply cannot be written as JSON");
            br#"{"error":{"message":"internal error"}}"#.to_vec()
        });
        bytes.push(b'\n');
        self.state.borrow_mut().output = Some(Outgoing { bytes, sent: 0, fd });
        if self.flush(&compositor.handle().clone()) {
            self.answered(compositor);
        }
    }

    /// Bytes from the client, or its end.
    fn readable(self: &Rc<Self>, compositor: &mut Compositor) -> PostAction {
        let mut chunk = [0; 4096];
        match (&self.stream).read(&mut chunk) {
            Ok(0) => return self.close(),
            Ok(n) => self.state.borrow_mut().input.extend_from_slice(&chunk[..n]),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => {
                tracing::debug!(%error, "control connection lost");
                return self.close();
            }
        }
        self.run_lines(compositor);
        let state = self.state.borrow();
        match (state.closed, state.busy) {
            (true, _) => PostAction::Remove,
            (false, true) => PostAction::Disable,
            (false, false) => PostAction::Continue,
        }
    }

    fn close(&self) -> PostAction {
        self.state.borrow_mut().closed = true;
        PostAction::Remove
    }

    /// Runs whole lines until one is not answered at once.
    fn run_lines(self: &Rc<Self>, compositor: &mut Compositor) {
        self.state.borrow_mut().running = true;
        while let Some(line) = self.next_line() {
            match serde_json::from_slice::<Request>(&line) {
                Ok(request) => commands::run(self, compositor, request),
                Err(error) => {
                    let message = format!("not a request: {error}");
                    self.reply(compositor, &Reply::Error { message }, None);
                }
            }
        }
        self.state.borrow_mut().running = false;
    }

    /// The next line, which is then being answered.
    fn next_line(&self) -> Option<Vec<u8>> {
        let mut state = self.state.borrow_mut();
        if state.busy || state.closed {
            return None;
        }
        let empty = state.input.iter().take_while(|&&b| b == b'\n').count();
        state.input.drain(..empty);
        let Some(end) = state.input.iter().position(|&b| b == b'\n') else {
            if state.input.len() > MAX_REQUEST_BYTES {
                tracing::warn!(
                    "control request is longer than {MAX_REQUEST_BYTES} bytes, connection closed"
                );
                state.closed = true;
            }
            return None;
        };
        state.busy = true;
        let rest = state.input.split_off(end + 1);
        Some(std::mem::replace(&mut state.input, rest))
    }

    /// The reply is out: on to the next line, or back to reading.
    fn answered(self: &Rc<Self>, compositor: &mut Compositor) {
        self.state.borrow_mut().busy = false;
        if self.state.borrow().running {
            // The loop over the lines goes on by itself; calling it from here
            // would let a client choose how deep the stack gets.
            return;
        }
        self.run_lines(compositor);
        let state = self.state.borrow();
        if let (Some(reader), false) = (&state.reader, state.busy) {
            let handle = compositor.handle();
            if state.closed {
                handle.remove(*reader);
            } else if let Err(error) = handle.enable(reader) {
                tracing::debug!(%error, "control connection is not enabled again");
            }
        }
    }

    /// Sends what the socket takes; true when all is out or the peer is gone.
    /// Otherwise a writing source goes on as the peer reads.
    fn flush(self: &Rc<Self>, handle: &LoopHandle<'static, Compositor>) -> bool {
        if self.write_some() {
            return true;
        }
        // A descriptor of its own: epoll takes each number only once.
        let source = match self.stream.try_clone() {
            Ok(stream) => Generic::new(stream, Interest::WRITE, Mode::Level),
            Err(error) => {
                tracing::warn!(%error, "control reply abandoned");
                self.state.borrow_mut().closed = true;
                return true;
            }
        };
        let this = Rc::clone(self);
        let inserted = handle.insert_source(source, move |_, _, compositor| {
            if !this.write_some() {
                return Ok(PostAction::Continue);
            }
            this.answered(compositor);
            Ok(PostAction::Remove)
        });
        if let Err(error) = inserted {
            tracing::warn!(%error, "control reply abandoned");
            self.state.borrow_mut().closed = true;
        }
        self.state.borrow().closed
    }

    /// One write; true when nothing is left to be written.
    fn write_some(&self) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(output) = &mut state.output else {
            return true;
        };
        let fds = output.fd.as_ref().map(|fd| [fd.as_fd().as_raw_fd()]);
        let control: Vec<ControlMessage<'_>> = fds
            .iter()
            .map(|fds| ControlMessage::ScmRights(fds))
            .collect();
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let rest = [IoSlice::new(&output.bytes[output.sent..])];
        match sendmsg::<()>(self.stream.as_raw_fd(), &rest, &control, flags, None) {
            Ok(n) => {
                output.sent += n;
                output.fd = None;
                if output.sent < output.bytes.len() {
                    return false;
                }
            }
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => return false,
            Err(error) => {
                tracing::debug!(%error, "control client left before its reply");
                state.closed = true;
            }
        }
        state.output = None;
        true
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.disconnected();
    }
}
