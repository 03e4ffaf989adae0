//! One connection, without I/O.
//!
//! At any time a session either waits for the rest of a request, or holds one whole
//! request, or holds one reply that has not been sent. It never holds more, so a peer
//! that sends without reading costs 40 bytes and at most one piece of its own memory.

use std::fs::File;

use virtio_wl::memfd_request::{MemfdRequest, MemfdRequestError, MemfdStatus, REQUEST_BYTES};

#[cfg(test)]
mod tests;

/// An answer: a status, and the memory with [`MemfdStatus::OK`].
#[derive(Debug)]
pub struct Reply {
    /// The byte to send.
    pub status: MemfdStatus,
    /// The descriptor to send beside it.
    pub memory: Option<File>,
}

impl From<MemfdStatus> for Reply {
    fn from(status: MemfdStatus) -> Self {
        let memory = None;
        Self { status, memory }
    }
}

/// What a session can go on with.
#[derive(Debug)]
pub enum State<'a> {
    /// Bytes of the request, into this buffer; then [`Session::received`].
    Receive(&'a mut [u8]),
    /// A decision on this request; then [`Session::answer`].
    Decide(Result<MemfdRequest, MemfdRequestError>),
    /// Room to send this; then [`Session::sent`].
    Send(&'a Reply),
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    input: [u8; REQUEST_BYTES],
    /// Bytes of `input` that have come.
    filled: usize,
    reply: Option<Reply>,
}

impl Session {
    /// A connection on which nothing has come yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            input: [0; REQUEST_BYTES],
            filled: 0,
            reply: None,
        }
    }

    /// What to do next.
    pub fn state(&mut self) -> State<'_> {
        if let Some(reply) = &self.reply {
            return State::Send(reply);
        }
        if self.filled == REQUEST_BYTES {
            return State::Decide(MemfdRequest::parse(&self.input));
        }
        let (_, rest) = self.input.split_at_mut(self.filled);
        State::Receive(rest)
    }

    /// `count` bytes have been put into the buffer of [`State::Receive`].
    pub fn received(&mut self, count: usize) {
        self.filled = REQUEST_BYTES.min(self.filled + count);
    }

    /// The decision on the request of [`State::Decide`].
    pub fn answer(&mut self, reply: Reply) {
        self.filled = 0;
        self.reply = Some(reply);
    }

    /// The reply of [`State::Send`] is on its way; the memory in it is let go.
    pub fn sent(&mut self) {
        self.reply = None;
    }

    /// Whether the peer has left in the middle of a request.
    #[must_use]
    pub fn is_midway(&self) -> bool {
        self.filled != 0
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a session over any bytes, as a peer might send them, in chunks of any size, and
/// checks that one answer comes out per whole request. The body of a fuzz target.
///
/// # Panics
///
/// When the session answers more or less than it was asked.
pub fn exercise(bytes: &[u8], chunk: usize) {
    let mut session = Session::new();
    let mut rest = bytes;
    let mut answers = 0;
    loop {
        match session.state() {
            State::Receive(buffer) => {
                let count = buffer.len().min(chunk.max(1)).min(rest.len());
                if count == 0 {
                    break;
                }
                let (now, later) = rest.split_at(count);
                buffer[..count].copy_from_slice(now);
                rest = later;
                session.received(count);
            }
            State::Decide(request) => {
                let status = match request {
                    Ok(request) => {
                        assert_eq!(MemfdRequest::parse(&request.encode()), Ok(request));
                        MemfdStatus::QUOTA
                    }
                    Err(_) => MemfdStatus::INVALID,
                };
                session.answer(status.into());
            }
            State::Send(_) => {
                answers += 1;
                session.sent();
            }
        }
    }
    assert_eq!(answers, bytes.len() / REQUEST_BYTES);
    assert_eq!(
        session.is_midway(),
        !bytes.len().is_multiple_of(REQUEST_BYTES)
    );
}
