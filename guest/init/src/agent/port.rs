//! The connection to the host.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use calloop::RegistrationToken;
use nix::errno::Errno;
use nix::unistd::{read, write};

use super::lines::{Lines, TooLong};

/// Bytes read at a time: what they ask for is answered before more is read.
const READ_BYTES: usize = 4096;

/// What becomes of the port when nobody is at its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A virtio-serial port: the host may come, go and come again.
    Virtio,
    /// A socket or pipe: then it is over.
    Stream,
}

/// What a look at the port has brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Bytes; there may be more.
    Bytes,
    /// Nothing until the loop says otherwise.
    Nothing,
    /// The host has gone. It may come back.
    Left,
    /// Nobody will ever come again.
    Closed,
}

/// An open port.
#[derive(Debug)]
pub(super) struct Port {
    file: Rc<OwnedFd>,
    kind: Kind,
    /// How it is known to the loop.
    pub(super) token: RegistrationToken,
    lines: Lines,
    /// The loop has seen something; it tells so once.
    pub(super) readable: bool,
}

impl Port {
    pub(super) fn new(file: Rc<OwnedFd>, kind: Kind, token: RegistrationToken) -> Self {
        Self {
            file,
            kind,
            token,
            lines: Lines::default(),
            readable: true,
        }
    }

    /// Reads once, and gives each whole line.
    pub(super) fn read(&mut self, each: impl FnMut(Result<&[u8], TooLong>)) -> Arrival {
        let mut bytes = [0; READ_BYTES];
        match read(&*self.file, &mut bytes) {
            Ok(0) => {
                self.readable = false;
                self.lines.clear();
                match self.kind {
                    Kind::Virtio => Arrival::Left,
                    Kind::Stream => Arrival::Closed,
                }
            }
            Ok(count) => {
                self.lines.push(&bytes[..count], each);
                Arrival::Bytes
            }
            Err(Errno::EINTR) => Arrival::Bytes,
            Err(Errno::EAGAIN) => {
                self.readable = false;
                Arrival::Nothing
            }
            Err(errno) => {
                self.readable = false;
                tracing::warn!("the port cannot be read: {errno}");
                Arrival::Closed
            }
        }
    }

    pub(super) fn write(&self, bytes: &[u8]) -> nix::Result<usize> {
        write(&*self.file, bytes)
    }
}
