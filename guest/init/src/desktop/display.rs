//! Wayland sockets that appear in the session's directory.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Interest, LoopHandle, Mode, PostAction};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt,
};
use nix::unistd::Pid;

use crate::init::Init;

/// What names of the sockets begin with; a number follows.
const PREFIX: &str = "wayland-";

/// A socket has its name before its owner listens: how long until it is tried again, and how often
/// anew, which an emulated guest may need.
const AGAIN: Duration = Duration::from_millis(20);

/// When nobody will listen any more.
const PATIENCE: Duration = Duration::from_secs(30);

/// Watches a directory.
#[derive(Debug)]
pub(crate) struct Displays {
    inotify: Inotify,
}

impl AsFd for Displays {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl Displays {
    /// Tells [`Init::display_serves`] of each socket in `directory` that takes clients.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub(super) fn watch(handle: &LoopHandle<'static, Init>, directory: &Path) -> io::Result<()> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let news = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        inotify.add_watch(directory, news)?;
        let source = Generic::new(Self { inotify }, Interest::READ, Mode::Level);
        let directory = directory.to_owned();
        let inserted = handle.insert_source(source, move |_, displays, init: &mut Init| {
            let events = match displays.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN | Errno::EINTR) => Vec::new(),
                Err(errno) => return Err(errno.into()),
            };
            for name in events.into_iter().filter_map(|event| event.name) {
                if let Some(name) = display_name(&name) {
                    Attempt::begin(init, directory.join(name));
                }
            }
            Ok(PostAction::Continue)
        });
        inserted.map_err(|error| io::Error::other(error.error))?;
        Ok(())
    }
}

/// A name that is that of a Wayland socket, not of its lock or of another file.
fn display_name(name: &OsStr) -> Option<&str> {
    let name = name.to_str()?;
    let number = name.strip_prefix(PREFIX)?;
    let good = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    good.then_some(name)
}

/// A socket that nobody may listen to yet.
#[derive(Debug)]
struct Attempt {
    path: PathBuf,
    since: Instant,
}

impl Attempt {
    fn begin(init: &mut Init, path: PathBuf) {
        let attempt = Self {
            path,
            since: Instant::now(),
        };
        if attempt.is_over(init) {
            return;
        }
        let timer = Timer::from_duration(AGAIN);
        let inserted = init.handle.insert_source(timer, move |_, (), init| {
            if attempt.is_over(init) {
                TimeoutAction::Drop
            } else {
                TimeoutAction::ToDuration(AGAIN)
            }
        });
        if let Err(error) = inserted {
            tracing::error!("cannot look at a socket again: {}", error.error);
        }
    }

    /// Looks whether somebody listens.
    fn is_over(&self, init: &mut Init) -> bool {
        match server(&self.path) {
            Ok(pid) => {
                let name = self.path.file_name().and_then(OsStr::to_str);
                init.display_serves(name.unwrap_or_default(), pid);
                true
            }
            Err(Errno::ECONNREFUSED | Errno::EAGAIN) => self.since.elapsed() > PATIENCE,
            Err(errno) => {
                tracing::debug!("{}: {errno}", self.path.display());
                true
            }
        }
    }
}

/// Who listens at a socket.
fn server(path: &Path) -> nix::Result<Pid> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    let credentials = getsockopt(&socket, sockopt::PeerCredentials)?;
    Ok(Pid::from_raw(credentials.pid()))
}

#[cfg(test)]
mod tests;
