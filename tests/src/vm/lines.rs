//! Lines of JSON over a Unix socket, bounded in length and time.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;

use crate::process::Daemon;
use crate::wait::{self, Deadline};

#[cfg(test)]
mod tests;

/// How long the other side may not read before it counts as hung.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// One side of a conversation in lines.
#[derive(Debug)]
pub(super) struct Lines {
    name: &'static str,
    socket: UnixStream,
    /// Longest line accepted, newline included.
    limit: usize,
    pending: Vec<u8>,
}

impl Lines {
    pub(super) fn new(name: &'static str, socket: UnixStream, limit: usize) -> Result<Self> {
        socket
            .set_write_timeout(Some(WRITE_TIMEOUT))
            .context("socket")?;
        Ok(Self {
            name,
            socket,
            limit,
            pending: Vec::new(),
        })
    }

    /// The connection `peer` makes to `listener`.
    pub(super) fn accept(
        name: &'static str,
        listener: &UnixListener,
        peer: &mut Daemon,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Self> {
        let ready = wait::readable(&[listener.as_fd(), peer.end_fd()], deadline)
            .with_context(|| format!("{name}: no connection"))?;
        if !ready[0] {
            let status = peer.wait()?;
            bail!("{} has ended ({status})\n{}", peer.name(), peer.log_tail());
        }
        let (socket, _) = listener.accept().context("accept")?;
        Self::new(name, socket, limit)
    }

    /// Readable when the other side has said something, or has closed.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next line without its newline; `None` when the other side has closed.
    ///
    /// # Errors
    /// When none comes in time, or one is too long.
    pub(super) fn next(&mut self, deadline: Deadline) -> Result<Option<Vec<u8>>> {
        // What was searched already has no newline.
        let mut searched = 0;
        loop {
            if let Some(line) = self.take_line(searched) {
                return Ok(Some(line));
            }
            searched = self.pending.len();
            wait::readable(&[self.socket.as_fd()], deadline)
                .with_context(|| format!("no line from {}", self.name))?;
            if !self.read()? {
                return Ok(None);
            }
        }
    }

    /// All lines that are there by now, and whether the other side may say more. Called when
    /// [`Self::fd`] is readable.
    ///
    /// # Errors
    /// When a line is too long.
    pub(super) fn waiting(&mut self) -> Result<(Vec<Vec<u8>>, bool)> {
        let open = self.read()?;
        Ok((std::iter::from_fn(|| self.take_line(0)).collect(), open))
    }

    /// The first line of what was read, if it is whole. Up to `searched` there is no newline.
    fn take_line(&mut self, searched: usize) -> Option<Vec<u8>> {
        let rest = &self.pending[searched..];
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let mut line: Vec<u8> = self.pending.drain(..=searched + end).collect();
        line.pop();
        Some(line)
    }

    /// Reads once; whether the other side is still there.
    fn read(&mut self) -> Result<bool> {
        ensure!(
            self.pending.len() < self.limit,
            "{}: a line without end",
            self.name
        );
        let mut chunk = [0; 8192];
        match self.socket.read(&mut chunk) {
            Ok(0) => return Ok(false),
            Ok(len) => self.pending.extend_from_slice(&chunk[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error).context(self.name),
        }
        Ok(true)
    }

    /// Says one line.
    ///
    /// # Errors
    /// When the other side is gone or does not read.
    pub(super) fn say(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec(line).context("a line of JSON")?;
        text.push(b'\n');
        self.socket
            .write_all(&text)
            .with_context(|| format!("cannot talk to {}", self.name))
    }
}

/// A listening socket for one connection of QEMU, in place of one that a killed VM has left.
pub(super) fn listen(path: &Path) -> Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| path.display().to_string());
        }
        _ => {}
    }
    UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))
}
