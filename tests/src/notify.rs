//! A `NOTIFY_SOCKET`: a daemon says `READY=1`, and that is the event waited for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Longest notification read; the daemons send a few dozen bytes.
const MAX_MESSAGE: usize = 4096;

/// The receiving end of sd_notify(3) for one daemon. The socket file goes with it.
#[derive(Debug)]
pub struct NotifySocket {
    path: PathBuf,
    socket: UnixDatagram,
}

impl NotifySocket {
    /// Binds a notification socket at `path`.
    ///
    /// # Errors
    /// When the path is taken or too long.
    pub fn bind(path: PathBuf) -> Result<Self> {
        let socket = UnixDatagram::bind(&path)
            .with_context(|| format!("cannot bind the notify socket {}", path.display()))?;
        socket.set_nonblocking(true).context("notify socket")?;
        Ok(Self { path, socket })
    }

    /// The value of `NOTIFY_SOCKET`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes one waiting message; whether it says `READY=1`. `None` when nothing waits.
    ///
    /// # Errors
    /// When recv(2) fails.
    pub fn take(&self) -> Result<Option<bool>> {
        let mut buf = [0; MAX_MESSAGE];
        match self.socket.recv(&mut buf) {
            Ok(len) => {
                let text = String::from_utf8_lossy(&buf[..len]);
                Ok(Some(text.lines().any(|line| line == "READY=1")))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).context("notify socket"),
        }
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
