//! Hand-made messages on the socket, for what no honest library sends.

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Object id of wl_display.
pub const DISPLAY: u32 = 1;
/// Opcode of wl_display.sync.
pub const SYNC: u16 = 0;
/// Opcode of wl_display.get_registry.
pub const GET_REGISTRY: u16 = 1;

/// A message: object, opcode and arguments as 32-bit words.
pub fn message(object: u32, opcode: u16, arguments: &[u32]) -> Vec<u8> {
    let size = u32::try_from(8 + arguments.len() * 4).unwrap_or(u32::MAX);
    message_of_size(object, opcode, size, arguments)
}

/// A message that claims to have `size` bytes, whatever it has.
pub fn message_of_size(object: u32, opcode: u16, size: u32, arguments: &[u32]) -> Vec<u8> {
    [object, (size << 16) | u32::from(opcode)]
        .iter()
        .chain(arguments)
        .flat_map(|word| word.to_ne_bytes())
        .collect()
}

/// What became of bytes sent without ever reading an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// All were taken.
    All,
    /// The other side takes no more for now.
    Blocked,
    /// The other side has ended the connection.
    Closed,
}

/// A bare connection to the compositor.
#[derive(Debug)]
pub struct Raw {
    stream: UnixStream,
}

impl Raw {
    /// Connects as the environment says (`WAYLAND_SOCKET`, `WAYLAND_DISPLAY`).
    ///
    /// # Errors
    /// When there is no compositor.
    pub fn connect() -> Result<Self> {
        let stream = match std::env::var("WAYLAND_SOCKET") {
            Ok(number) => UnixStream::from(inherited(number.parse().context("WAYLAND_SOCKET")?)?),
            Err(_) => {
                let name = std::env::var_os("WAYLAND_DISPLAY").context("no WAYLAND_DISPLAY")?;
                let dir = std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_default();
                UnixStream::connect(PathBuf::from(dir).join(name)).context("no compositor")?
            }
        };
        stream.set_nonblocking(true)?;
        Ok(Self { stream })
    }

    /// Sends bytes; stops when the other side takes none for `patience`.
    ///
    /// # Errors
    /// When poll(2) fails.
    pub fn send(&mut self, mut bytes: &[u8], patience: Duration) -> Result<Sent> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut set = [PollFd::new(self.stream.as_fd(), PollFlags::POLLOUT)];
                    if poll(&mut set, timeout(patience)).context("poll")? == 0 {
                        return Ok(Sent::Blocked);
                    }
                }
                Err(_) => return Ok(Sent::Closed),
            }
        }
        Ok(Sent::All)
    }

    /// Waits until the other side ends the connection; false when it has not within `patience`.
    ///
    /// # Errors
    /// When poll(2) fails.
    pub fn wait_closed(&self, patience: Duration) -> Result<bool> {
        // Nothing asked for: only HUP and ERR end the wait, not data that is never read.
        let mut set = [PollFd::new(self.stream.as_fd(), PollFlags::empty())];
        Ok(poll(&mut set, timeout(patience)).context("poll")? > 0)
    }
}

/// As poll(2) wants it.
fn timeout(patience: Duration) -> PollTimeout {
    PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX)
}

/// The connection that was handed over by number.
#[allow(unsafe_code)]
fn inherited(number: i32) -> Result<OwnedFd> {
    anyhow::ensure!(number > 2, "WAYLAND_SOCKET is {number}");
    // SAFETY: whoever set WAYLAND_SOCKET gave us this descriptor to own, and nothing else in this
    // process has taken it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
