//! The host's end: an ordinary socket, with descriptors.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, ensure};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// A connected socket. Its calls give up after a step's time.
#[derive(Debug)]
pub struct Peer(pub UnixStream);

impl Peer {
    /// Sends everything, descriptors with the first byte.
    pub fn send_all(&self, mut data: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let raw: Vec<RawFd> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let mut control = if raw.is_empty() { &[] } else { &rights[..] };
        while !data.is_empty() {
            let bufs = [IoSlice::new(data)];
            let flags = MsgFlags::MSG_NOSIGNAL;
            let sent = sendmsg::<()>(self.0.as_raw_fd(), &bufs, control, flags, None)?;
            data = &data[sent..];
            control = &[];
        }
        Ok(())
    }

    /// Sends what the socket takes at once.
    pub fn try_send(&self, data: &[u8]) -> io::Result<usize> {
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let bufs = [IoSlice::new(data)];
        Ok(sendmsg::<()>(self.0.as_raw_fd(), &bufs, &[], flags, None)?)
    }

    /// Receives once; nothing at the end.
    pub fn receive(&self, room: usize) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        let mut data = vec![0; room];
        let mut control = nix::cmsg_space!([RawFd; 64]);
        let mut bufs = [IoSliceMut::new(&mut data)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(self.0.as_raw_fd(), &mut bufs, Some(&mut control), flags)?;
        assert!(!message.flags.contains(MsgFlags::MSG_CTRUNC));
        let mut fds = Vec::new();
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(raw) = control {
                // SAFETY: recvmsg has just opened them, and nobody else knows the numbers.
                fds.extend(
                    raw.into_iter()
                        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
                );
            }
        }
        let count = message.bytes;
        data.truncate(count);
        Ok((data, fds))
    }

    /// Receives until there are that many bytes.
    pub fn receive_exact(&self, len: usize) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
        let (mut data, mut fds) = (Vec::new(), Vec::new());
        while data.len() < len {
            let (more, more_fds) = self.receive(len - data.len())?;
            ensure!(!more.is_empty(), "ended after {} of {len}", data.len());
            data.extend(more);
            fds.extend(more_fds);
        }
        Ok((data, fds))
    }
}

/// A memfd with some content.
pub fn memfd(content: &[u8]) -> Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let fd = memfd_create("test", flags).context("memfd")?;
    let mut file = File::from(fd);
    file.write_all(content).context("content")?;
    Ok(file.into())
}

/// All bytes of a file, whatever its position.
pub fn content(fd: OwnedFd) -> Result<Vec<u8>> {
    let mut file = File::from(fd);
    file.rewind().context("rewind")?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).context("content")?;
    Ok(bytes)
}
