//! A listening Unix socket that cleans up after itself and its dead predecessors.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};

/// A non-blocking listening socket; its file goes away with it.
#[derive(Debug)]
pub struct BoundSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl BoundSocket {
    /// Binds `path`, for the owner only (mode 0600).
    ///
    /// A socket file that nobody listens on is replaced.
    ///
    /// # Errors
    /// `AddrInUse` when somebody listens there or the file is not a socket;
    /// otherwise what bind(2) says.
    pub fn bind(path: &Path) -> io::Result<Self> {
        remove_stale(path)?;
        // Set for the whole process, hence while it still has one thread: a
        // chmod after bind would leave a moment for others to connect.
        let before = umask(Mode::S_IRWXG | Mode::S_IRWXO | Mode::S_IXUSR);
        let bound = UnixListener::bind(path);
        umask(before);
        let listener = bound?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }

    /// Takes one waiting connection.
    ///
    /// # Errors
    /// `WouldBlock` when none waits; otherwise what accept(2) says.
    pub fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.listener.accept()?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }
}

impl AsFd for BoundSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "socket file was already gone");
        }
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let in_use = |what| Err(io::Error::new(io::ErrorKind::AddrInUse, what));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            in_use("a file that is not a socket is in the way")
        }
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => in_use("another process listens there"),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
        },
    }
}
