//! Devices from a service manager, opened by it with the rights we lack.
//!
//! A `SEQPACKET` socket, inherited as `LISTEN_FDS` with the name `devices`. Each
//! message is ASCII text and brings one descriptor: `drm card0`,
//! `input event3`. First come those that are there, then `settled` without a
//! descriptor, then each new one.

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use listenfd::ListenFd;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::sys::recv_with_fd;

/// Name of the socket in `LISTEN_FDNAMES`.
const NAME: &str = "devices";

/// Longest message; the longest real one has 20 bytes.
const MAX_MESSAGE: usize = 64;

/// What the service manager says.
#[derive(Debug)]
pub(super) enum Message {
    /// A display adapter and its name.
    Card(String, OwnedFd),
    /// An input device and its name.
    Input(String, OwnedFd),
    /// All that were there have been told.
    Settled,
}

/// The socket to the service manager.
#[derive(Debug)]
pub(super) struct Handover(OwnedFd);

impl Handover {
    /// Takes the inherited socket, if there is one.
    ///
    /// # Errors
    /// If what is inherited by that name is no such socket.
    pub(super) fn from_env() -> io::Result<Option<Self>> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let Some(index) = names.split(':').position(|name| name == NAME) else {
            return Ok(None);
        };
        let socket: Option<OwnedFd> = ListenFd::from_env().take_custom(
            index,
            libc::AF_UNIX,
            libc::SOCK_SEQPACKET,
            "unix seqpacket socket",
        )?;
        Ok(socket.map(Self))
    }

    /// Waits for the next message until a time.
    ///
    /// # Errors
    /// `TimedOut` if none came, `UnexpectedEof` if none can come any more,
    /// `InvalidData` for one that makes no sense, which has then been taken.
    pub(super) fn wait(&self, until: Instant) -> io::Result<Message> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // Rounded up, so that a wait never ends early and spins.
            let timeout =
                PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLIN)], timeout) {
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => match self.receive() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    received => return received,
                },
            }
        }
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// `WouldBlock` if none waits; otherwise as [`Self::wait`].
    pub(super) fn receive(&self) -> io::Result<Message> {
        let mut buffer = [0; MAX_MESSAGE];
        let (len, fd) = recv_with_fd(self, &mut buffer)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let text = std::str::from_utf8(&buffer[..len]).map_err(|_| invalid("no text"))?;
        match (text.split_once(' '), fd) {
            (None, None) if text == "settled" => Ok(Message::Settled),
            (Some(("drm", name)), Some(fd)) if is_name(name, "card") => {
                Ok(Message::Card(name.to_owned(), fd))
            }
            (Some(("input", name)), Some(fd)) if is_name(name, "event") => {
                Ok(Message::Input(name.to_owned(), fd))
            }
            (Some(("drm" | "input", _)), None) => Err(invalid("a device without a descriptor")),
            _ => Err(invalid("nothing known")),
        }
    }
}

impl AsFd for Handover {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `kind` and a number, as device nodes are called.
pub(super) fn is_name(name: &str, kind: &str) -> bool {
    // The kernel numbers devices with 20 bits.
    const MAX_DIGITS: usize = 7;
    name.strip_prefix(kind).is_some_and(|number| {
        (1..=MAX_DIGITS).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit())
    })
}
