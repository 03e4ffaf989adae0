//! The listening socket of `--parent`, as libwayland makes it: a lock file
//! beside it says whether a socket that exists is in use.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::sys;

/// A listening socket; it and its lock file are removed when dropped.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    lock_path: PathBuf,
    _lock: Flock<File>,
}

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A relative name has no place.
    #[error(
        "XDG_RUNTIME_DIR is not set to an absolute path; set it, or give --socket an absolute path"
    )]
    NoRuntimeDir,
    /// Another process listens.
    #[error("another process listens on {}; choose another --socket", .0.display())]
    InUse(PathBuf),
    /// Something else has that name.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// A system call failed.
    #[error("cannot listen on {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

/// Where the socket called `name` is.
///
/// # Errors
/// [`ListenError::NoRuntimeDir`] for a relative name without a runtime
/// directory.
pub fn socket_path(name: &OsStr, runtime_dir: Option<OsString>) -> Result<PathBuf, ListenError> {
    let name = Path::new(name);
    if name.is_absolute() {
        return Ok(name.into());
    }
    let dir = runtime_dir
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute());
    Ok(dir.ok_or(ListenError::NoRuntimeDir)?.join(name))
}

impl Listener {
    /// Listens at `path`, replacing a socket that nobody listens on.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(path: PathBuf) -> Result<Self, ListenError> {
        let mut lock_path = path.clone().into_os_string();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        let failed = |error| ListenError::Io(path.clone(), error);

        let mut options = File::options();
        options
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o660);
        let lock = options.open(&lock_path).map_err(failed)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock);
        let lock = lock.map_err(|_| ListenError::InUse(path.clone()))?;
        remove_stale(&path)?;
        let socket = UnixListener::bind(&path).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        Ok(Self {
            socket,
            path,
            lock_path,
            _lock: lock,
        })
    }

    /// The next client; `WouldBlock` when there is none.
    ///
    /// # Errors
    /// Whatever `accept` gives.
    pub fn accept(&self) -> io::Result<UnixStream> {
        self.socket.accept().map(|(stream, _)| stream)
    }
}

/// Removes what is left of a process that did not clean up. Who holds the lock
/// may, unless somebody listens without knowing of locks.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |error| ListenError::Io(path.into(), error);
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !kind.is_socket() {
        return Err(ListenError::NotASocket(path.into()));
    }
    match sys::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        _ => Err(ListenError::InUse(path.into())),
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The lock is still held, so nobody else can have taken the names.
        for path in [&self.path, &self.lock_path] {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove");
            }
        }
    }
}

#[cfg(test)]
mod tests;
