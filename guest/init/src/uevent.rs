//! News of the kernel about devices.

use std::os::fd::AsRawFd;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::RcvBuf;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, setsockopt,
    socket,
};

/// The kernel's own group; udev has another one.
const KERNEL_GROUP: u32 = 1;

/// Longest message (the kernel's `UEVENT_BUFFER_SIZE`, and the path in front), in bytes.
const MAX_MESSAGE: usize = 8192;

/// Room for the burst while modules are loaded, in bytes. What does not fit is told as
/// [`News::Lost`].
const BUFFER: usize = 1 << 20;

/// Something has happened to devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// To this one.
    Device {
        /// `add`, `remove`, `change`, ...
        action: String,
        /// Of what kind it is: `drm`, `input`, ...
        subsystem: String,
        /// Path below /dev, when it has a node.
        node: Option<String>,
    },
    /// To others, but there was no room to tell.
    Lost,
}

/// A subscription.
#[derive(Debug)]
pub(crate) struct Uevents {
    socket: OwnedFd,
}

impl AsFd for Uevents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Uevents {
    /// Subscribes to what happens from now on.
    ///
    /// # Errors
    /// Whatever the system calls give.
    pub(crate) fn open() -> nix::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        setsockopt(&socket, RcvBuf, &BUFFER)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
        Ok(Self { socket })
    }

    /// The next news; `None` when there is none now.
    ///
    /// # Errors
    /// Whatever receiving gives.
    pub(crate) fn next(&self) -> nix::Result<Option<News>> {
        let mut message = [0; MAX_MESSAGE];
        loop {
            match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut message) {
                // Only the kernel has number 0.
                Ok((count, Some(from))) if from.pid() == 0 => {
                    if let Some(news) = parse(&message[..count]) {
                        return Ok(Some(news));
                    }
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::ENOBUFS) => return Ok(Some(News::Lost)),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Waits until anything has happened, and forgets what; `false` after the deadline.
    ///
    /// # Errors
    /// Whatever waiting gives.
    pub(crate) fn wait(&self, deadline: Instant) -> nix::Result<bool> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(errno) => return Err(errno),
            }
            let mut any = false;
            while self.next()?.is_some() {
                any = true;
            }
            if any {
                return Ok(true);
            }
        }
    }
}

/// `action@path`, and variables, each with a zero byte at its end.
fn parse(message: &[u8]) -> Option<News> {
    let mut parts = message
        .split(|&byte| byte == 0)
        .map(String::from_utf8_lossy);
    if !parts.next()?.contains('@') {
        return None;
    }
    let (mut action, mut subsystem, mut node) = (None, None, None);
    for part in parts {
        match part.split_once('=') {
            Some(("ACTION", value)) => action = Some(value.to_owned()),
            Some(("SUBSYSTEM", value)) => subsystem = Some(value.to_owned()),
            Some(("DEVNAME", value)) => node = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(News::Device {
        action: action?,
        subsystem: subsystem?,
        node,
    })
}

#[cfg(test)]
mod tests;
