//! Services say here when they are ready, as to systemd (`sd_notify(3)`).

use std::fs::{self, Permissions};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::sockopt::PassCred;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt};
use nix::unistd::Pid;

use crate::identity::Identity;

/// Longest message looked at, in bytes.
const MAX_MESSAGE: usize = 1024;

/// A socket for one service.
#[derive(Debug)]
pub(super) struct Notify {
    socket: UnixDatagram,
}

impl Notify {
    /// Makes the socket, writable by root and one user.
    pub(super) fn bind(path: &Path, writer: Option<&Identity>) -> io::Result<Self> {
        let _ = fs::remove_file(path);
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, PassCred, &true)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        if let Some(writer) = writer {
            chown(path, Some(writer.uid.as_raw()), Some(writer.gid.as_raw()))?;
        }
        Ok(Self { socket })
    }

    /// Takes one message: who says it is ready, if that is what it says. `WouldBlock` when there is
    /// none.
    pub(super) fn receive(&self) -> io::Result<Option<Pid>> {
        let mut bytes = [0; MAX_MESSAGE];
        let mut buffers = [IoSliceMut::new(&mut bytes)];
        let mut space = cmsg_space!(UnixCredentials);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(
            self.socket.as_raw_fd(),
            &mut buffers,
            Some(&mut space),
            flags,
        );
        let message = match message {
            // A message with more than credentials; its descriptors are closed by the kernel.
            Err(Errno::ENOBUFS) => return Ok(None),
            result => result?,
        };
        let sender = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|one| match one {
                ControlMessageOwned::ScmCredentials(sender) => Some(Pid::from_raw(sender.pid())),
                _ => None,
            })
        });
        let count = message.bytes;
        let ready = bytes[..count]
            .split(|&byte| byte == b'\n')
            .any(|line| line == b"READY=1");
        Ok(sender.filter(|_| ready))
    }
}

impl AsFd for Notify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests;
