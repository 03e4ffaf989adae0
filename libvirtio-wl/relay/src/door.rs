//! Listening sockets without a name: only who holds one can connect to it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::socket::UnixAddr;
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::display::connect_to;

#[cfg(test)]
mod tests;

/// What is opened to name a file later, and for nothing else.
const PLACE: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

/// A listening socket without a name.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    /// The socket's file, which has no name any more.
    place: OwnedFd,
}

impl Door {
    /// A new one, whose file is in `directory` for a moment.
    ///
    /// # Errors
    /// No file can be made there, or something of this process's is used up.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let directory = open(directory, PLACE | OFlag::O_DIRECTORY, Mode::empty())?;
        let name = format!(".virtio-wl-relay-{}", std::process::id());
        let remove = || unlinkat(&directory, name.as_str(), UnlinkatFlags::NoRemoveDir);
        // Of another process that had the same number and ended in the middle of this.
        match remove() {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        // By way of the directory's descriptor: its path may be longer than a socket's.
        let listener = UnixListener::bind(through(&directory).join(&name))?;
        let place = openat(
            &directory,
            name.as_str(),
            PLACE | OFlag::O_NOFOLLOW,
            Mode::empty(),
        );
        remove()?;
        Ok(Self {
            listener,
            place: place?,
        })
    }

    /// Connects to it, without waiting. The socket does not block.
    ///
    /// # Errors
    /// `EAGAIN` when too many connections wait to be accepted, whatever else connect(2) says.
    pub fn connect(&self) -> io::Result<UnixStream> {
        connect_to(&UnixAddr::new(&through(&self.place))?)
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// The path of what is open already, whatever it is called.
fn through(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}
