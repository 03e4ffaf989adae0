//! Memory from the memfd-server, so that one quota covers all a guest has.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use virtio_wl::memfd_request::{Label, MemfdRequest, MemfdStatus, REPLY_BYTES};

use super::{MemorySource, cannot_shrink};
use crate::core::sys;

#[cfg(test)]
mod tests;

/// How long the server may take. It does little more than one system call; a server
/// that does not answer must not hold its guest up for longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection to the memfd-server, made when it is first needed and again after
/// each failure.
#[derive(Debug)]
pub struct MemfdServer {
    path: PathBuf,
    connection: Option<UnixStream>,
}

impl MemfdServer {
    /// The server that listens at `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        MemfdServer {
            path: path.to_owned(),
            connection: None,
        }
    }

    fn ask(&mut self, size: u64) -> io::Result<OwnedFd> {
        let stream = match self.connection.take() {
            Some(stream) => stream,
            None => {
                let stream = UnixStream::from(crate::core::stream::connect_now(&self.path)?);
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream
            }
        };
        let label = Label::lossy("vhost-device-wl");
        (&stream).write_all(&MemfdRequest { size, label }.encode())?;
        let mut reply = [0; REPLY_BYTES];
        let mut received = sys::recv_blocking(stream.as_fd(), &mut reply)?;
        if received.len != REPLY_BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let answer = MemfdStatus(reply[0]).into_result();
        // From here on request and reply are in step: the connection can be kept.
        self.connection = Some(stream);
        answer?;
        match (received.fds.pop(), received.fds.pop()) {
            (Some(fd), None) => check(fd, size),
            _ => Err(io::Error::other("the memfd-server sent no memory")),
        }
    }
}

impl MemorySource for MemfdServer {
    fn create(&mut self, size: u64) -> io::Result<OwnedFd> {
        let result = self.ask(size);
        if let Err(error) = &result {
            tracing::warn!(%error, size, "no memory from the memfd-server");
        }
        result
    }
}

fn check(fd: OwnedFd, size: u64) -> io::Result<OwnedFd> {
    let actual = nix::sys::stat::fstat(&fd)?.st_size;
    if u64::try_from(actual) != Ok(size) || !cannot_shrink(&fd) {
        return Err(io::Error::other(
            "the memfd-server sent other memory than asked for",
        ));
    }
    Ok(fd)
}
