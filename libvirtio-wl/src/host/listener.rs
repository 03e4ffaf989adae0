//! Unix listening sockets as daemons have them: the right mode and owner from the first
//! moment, a stale file replaced, the file removed at the end, or all of that left to the
//! service manager (socket activation).

mod activation;
mod endpoint;
mod rights;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket,
};

pub use activation::Activated;
pub use endpoint::Endpoint;
pub use rights::{Mode, Owner, RightsError};

use crate::label::VmName;

/// Connections that may wait to be accepted, the usual backlog.
pub const BACKLOG: i32 = 128;

/// A listening `SOCK_STREAM` socket, non-blocking and close-on-exec. Its file, if this
/// process made it, is removed when it is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    /// Only held: it removes the file.
    _file: Option<SocketFile>,
}

/// A socket file and which one it is: another may have been put in its place since.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Listener {
    /// Listens at `path`. A socket file that nobody listens on is replaced.
    ///
    /// # Errors
    ///
    /// [`ListenError`], naming the path.
    pub fn bind(path: &Path, mode: Mode, owner: Option<Owner>) -> Result<Self, ListenError> {
        let failed = |action| {
            move |source: io::Error| ListenError::Failed {
                action,
                path: path.to_owned(),
                source,
            }
        };
        let address = UnixAddr::new(path).map_err(|errno| failed("use")(errno.into()))?;
        remove_stale(path, &address)?;
        let socket = stream_socket().map_err(failed("make a socket for"))?;
        bind(socket.as_raw_fd(), &address).map_err(|errno| failed("listen on")(errno.into()))?;
        let file = SocketFile::new(path).map_err(failed("look at"))?;
        // From here the file goes with the listener. Nobody can connect before `listen`,
        // so there is no moment with rights too wide.
        let listener = Self {
            socket: UnixListener::from(socket),
            _file: Some(file),
        };
        mode.apply(path).map_err(failed("set the mode of"))?;
        if let Some(owner) = owner {
            owner.apply(path).map_err(failed("change the owner of"))?;
        }
        let backlog = Backlog::new(BACKLOG).map_err(|errno| failed("listen on")(errno.into()))?;
        listen(&listener.socket, backlog).map_err(|errno| failed("listen on")(errno.into()))?;
        Ok(listener)
    }

    /// A connection that waits, non-blocking and close-on-exec; `None` when there is none.
    ///
    /// # Errors
    ///
    /// As `accept`, above all `EMFILE`; a connection that was given up meanwhile is not
    /// an error.
    pub fn accept(&self) -> io::Result<Option<UnixStream>> {
        loop {
            match self.socket.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    return Ok(Some(stream));
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn stream_socket() -> io::Result<OwnedFd> {
    Ok(socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )?)
}

fn remove_stale(path: &Path, address: &UnixAddr) -> Result<(), ListenError> {
    let failed = |action, source| ListenError::Failed {
        action,
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", error)),
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => return Err(ListenError::NotASocket(path.to_owned())),
    }
    let probe = stream_socket().map_err(|error| failed("make a socket for", error))?;
    match connect(probe.as_raw_fd(), address) {
        // Refused: a file without a listener. Wrong type: a listener of another kind.
        Err(Errno::ECONNREFUSED) => {}
        Err(Errno::ENOENT) => return Ok(()),
        Ok(()) | Err(Errno::EAGAIN | Errno::EPROTOTYPE) => {
            return Err(ListenError::InUse(path.to_owned()));
        }
        Err(errno) => return Err(failed("probe", errno.into())),
    }
    tracing::debug!(path = %path.display(), "replacing a stale socket");
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove the stale", error))
        }
        _ => Ok(()),
    }
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let Ok(now) = fs::symlink_metadata(&self.path) else {
            return;
        };
        if (now.dev(), now.ino()) != (self.device, self.inode) {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove socket");
        }
    }
}

/// Why there is no listening socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Nobody says where: neither the configuration nor the service manager.
    #[error("it has no socket: set one, or pass one named {0} by socket activation")]
    NoPath(VmName),
    /// Another process listens there.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// Something that is not a socket is in the way.
    #[error("{0} exists and is not a socket; remove it or choose another path")]
    NotASocket(PathBuf),
    /// A step failed.
    #[error("cannot {action} {path}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// The socket's path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}
