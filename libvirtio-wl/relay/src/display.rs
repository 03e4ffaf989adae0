//! Where the compositor listens.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

#[cfg(test)]
mod tests;

/// What libwayland's clients take when nothing names a display.
const DEFAULT_NAME: &str = "wayland-0";

/// The ordinary socket of a compositor.
#[derive(Clone, Debug)]
pub struct Display {
    path: PathBuf,
    address: UnixAddr,
}

impl Display {
    /// The display of this name, or of the environment.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn from_env(name: Option<OsString>) -> Result<Self, DisplayError> {
        let name = name.or_else(|| env::var_os("WAYLAND_DISPLAY"));
        Self::find(name, env::var_os("XDG_RUNTIME_DIR"))
    }

    /// The display of this name by the rules of libwayland's clients: an absolute path is taken as
    /// it is, anything else as a file in `runtime_dir`; without a name it is `wayland-0`.
    ///
    /// # Errors
    /// A name needs a runtime directory, and that must be absolute; the path must be short enough
    /// for a socket's.
    pub fn find(
        name: Option<OsString>,
        runtime_dir: Option<OsString>,
    ) -> Result<Self, DisplayError> {
        let name = name.filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| DEFAULT_NAME.into());
        let path = match Path::new(&name) {
            path if path.is_absolute() => path.to_path_buf(),
            name => runtime_dir
                .map(PathBuf::from)
                .filter(|dir| dir.is_absolute())
                .ok_or_else(|| DisplayError::RuntimeDir(name.as_os_str().to_owned()))?
                .join(name),
        };
        match UnixAddr::new(&path) {
            Ok(address) => Ok(Self { path, address }),
            Err(_) => Err(DisplayError::TooLong(path)),
        }
    }

    /// The socket's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory it is in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// The socket's name in its directory.
    #[must_use]
    pub fn file_name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    /// Connects, without waiting. The socket does not block.
    ///
    /// # Errors
    /// `ENOENT` and `ECONNREFUSED` when no compositor listens, `EAGAIN` when too many connections
    /// wait for it, whatever else connect(2) says.
    pub fn connect(&self) -> io::Result<UnixStream> {
        connect_to(&self.address)
    }
}

/// Connects a stream socket, without waiting. The socket does not block.
pub(crate) fn connect_to(address: &UnixAddr) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    loop {
        match connect(socket.as_raw_fd(), address) {
            Ok(()) => return Ok(socket.into()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Why there is no place to connect to.
#[derive(Debug, thiserror::Error)]
pub enum DisplayError {
    /// A name, and no directory it is in.
    #[error("display {0:?} is a name in XDG_RUNTIME_DIR, which is not set to an absolute path")]
    RuntimeDir(OsString),
    /// No socket can have this path.
    #[error("the path {} is too long for a socket", .0.display())]
    TooLong(PathBuf),
}
