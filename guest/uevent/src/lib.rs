//! What the kernel tells of its devices (uevents), without udev.
//!
//! The kernel sends each message to a netlink group that every process may listen to, whatever its
//! user. Others can send to the listeners as well, but only the kernel has the port number 0.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, setsockopt,
    socket,
};

/// The kernel's own group; 2 is udev's.
const KERNEL_GROUP: u32 = 1;

/// Longest message looked at, in bytes: 2 KiB of variables (the kernel's `UEVENT_BUFFER_SIZE`) and
/// the path in front of them. A longer one is cut.
const MAX_MESSAGE: usize = 8192;

/// Room for the burst while modules are loaded, in bytes; the kernel gives an unprivileged process
/// less. What does not fit is told as [`News::Lost`].
const BUFFER: usize = 1 << 20;

/// Something has happened to devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// To this one.
    Device(Uevent),
    /// To others, but there was no room to tell.
    Lost,
}

/// One message of the kernel: variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uevent {
    /// `ACTION@PATH`, then `NAME=VALUE`s, each ended by a NUL.
    text: String,
}

impl Uevent {
    /// Reads a message as it came; `None` for what the kernel would not send. Bytes that are not
    /// UTF-8 become U+FFFD.
    #[must_use]
    pub fn parse(message: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(message).into_owned();
        let event = Self { text };
        let (head, _) = event.text.split_once('\0')?;
        let (action, _) = head.split_once('@')?;
        let whole = event.variable("ACTION")? == action && event.variable("SUBSYSTEM").is_some();
        whole.then_some(event)
    }

    /// The value of a variable; of a name given twice the first one counts.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        let mut variables = self.text.split('\0').skip(1);
        variables.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }

    /// `add`, `remove`, `change`, …
    #[must_use]
    pub fn action(&self) -> &str {
        self.variable("ACTION").unwrap_or_default()
    }

    /// Of what kind the device is: `drm`, `input`, …
    #[must_use]
    pub fn subsystem(&self) -> &str {
        self.variable("SUBSYSTEM").unwrap_or_default()
    }

    /// Path of its node below /dev, when it has one.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.variable("DEVNAME")
    }
}

/// A subscription.
#[derive(Debug)]
pub struct Uevents {
    socket: OwnedFd,
}

impl Uevents {
    /// Subscribes to what happens from now on.
    ///
    /// # Errors
    /// Whatever the system calls give.
    pub fn open() -> nix::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        // Only root gets more than the system's limit.
        setsockopt(&socket, RcvBufForce, &BUFFER)
            .or_else(|_| setsockopt(&socket, RcvBuf, &BUFFER))?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
        Ok(Self { socket })
    }

    /// The next news; `None` when there is none now. Never blocks.
    ///
    /// # Errors
    /// Whatever receiving gives.
    pub fn next(&self) -> nix::Result<Option<News>> {
        let mut message = [0; MAX_MESSAGE];
        loop {
            match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut message) {
                Ok((count, Some(from))) if from.pid() == 0 => {
                    if let Some(event) = Uevent::parse(&message[..count]) {
                        return Ok(Some(News::Device(event)));
                    }
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::ENOBUFS) => return Ok(Some(News::Lost)),
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl AsFd for Uevents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests;
