//! The host's end: an ordinary socket, with descriptors.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, ensure};
use integration_tests::scm;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// A connected socket. Its calls give up after a step's time.
#[derive(Debug)]
pub(crate) struct Peer(pub(crate) UnixStream);

impl Peer {
    /// Sends everything, descriptors with the first byte.
    pub(crate) fn send_all(&self, data: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        scm::send(&self.0, data, fds)
    }

    /// Sends what the socket takes at once.
    pub(crate) fn try_send(&self, data: &[u8]) -> std::io::Result<usize> {
        self.0.set_nonblocking(true)?;
        let sent = (&self.0).write(data);
        self.0.set_nonblocking(false)?;
        sent
    }

    /// Receives once; nothing at the end.
    pub(crate) fn receive(&self, room: usize) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
        scm::recv(&self.0, room)
    }

    /// Receives until there are that many bytes.
    pub(crate) fn receive_exact(&self, len: usize) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
        let (mut data, mut fds) = (Vec::new(), Vec::new());
        while data.len() < len {
            let (more, more_fds) = self.receive(len - data.len())?;
            ensure!(!more.is_empty(), "ended after {} of {len}", data.len());
            data.extend(more);
            fds.extend(more_fds);
        }
        Ok((data, fds))
    }

    /// Waits for the guest's end: an end, or a reset because of what it never read.
    pub(crate) fn wait_end(&self) -> Result<()> {
        match self.receive(1) {
            Ok((data, _)) => ensure!(data.is_empty(), "there is more"),
            Err(error) => match error.downcast_ref::<Errno>() {
                Some(Errno::ECONNRESET) => {}
                _ => return Err(error),
            },
        }
        Ok(())
    }
}

/// A memfd with some content.
pub(crate) fn memfd(content: &[u8]) -> Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let fd = memfd_create("test", flags).context("memfd")?;
    let mut file = File::from(fd);
    file.write_all(content).context("content")?;
    Ok(file.into())
}

/// All bytes of a file, whatever its position.
pub(crate) fn content(fd: OwnedFd) -> Result<Vec<u8>> {
    let mut file = File::from(fd);
    file.rewind().context("rewind")?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).context("content")?;
    Ok(bytes)
}
