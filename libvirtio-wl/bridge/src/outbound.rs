//! From a display to its client: bounded, in order.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::transport::{MAX_FDS, Transport};

/// Bytes kept for a client that does not read, before the display's socket is
/// left alone. Behind it are that socket's buffer and the display's own.
const MAX_BYTES: usize = 256 << 10;

/// Bytes kept before the client's requests are left unread as well, so that it
/// cannot make the display produce more. Not less: libwayland's clients may
/// write without reading for a while, and must not be stuck by that.
const PAUSE_REQUESTS: usize = 64 << 10;

/// Events and descriptors on their way to a client.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    parts: VecDeque<Part>,
    bytes: usize,
}

/// What the display wrote at once. Its descriptors go with its first byte.
#[derive(Debug)]
struct Part {
    bytes: Vec<u8>,
    sent: usize,
    fds: Vec<OwnedFd>,
}

impl Outbound {
    /// True if nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// True if the display's socket may be read.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < MAX_BYTES
    }

    /// True if the client should not be heard before it has read something.
    pub(crate) fn pauses_requests(&self) -> bool {
        self.bytes >= PAUSE_REQUESTS
    }

    /// Takes in what the display wrote.
    pub(crate) fn push(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) {
        self.bytes += bytes.len();
        self.parts.push_back(Part {
            bytes: bytes.to_vec(),
            sent: 0,
            fds,
        });
    }

    /// Sends what the transport takes. True if all is gone.
    pub(crate) fn send(&mut self, transport: &mut dyn Transport) -> io::Result<bool> {
        while let Some(part) = self.parts.front_mut() {
            let fds: Vec<_> = part.fds.iter().take(MAX_FDS).map(AsFd::as_fd).collect();
            let sent = match transport.send(&part.bytes[part.sent..], &fds) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            part.fds.clear();
            part.sent += sent;
            self.bytes -= sent;
            if part.sent == part.bytes.len() {
                self.parts.pop_front();
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
