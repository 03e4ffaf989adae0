//! The program that Sommelier was asked to run.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::args::SOMMELIER_VERSION;
use crate::sys::Inherited;

/// Exit status of shells for a program that does not exist.
pub const NOT_FOUND: i32 = 127;

/// Exit status of shells for a program that cannot be executed.
pub const NOT_EXECUTABLE: i32 = 126;

/// How the program reaches the relay.
#[derive(Debug)]
pub enum Reach {
    /// By a connection of its own, `WAYLAND_SOCKET`.
    Socket(OwnedFd),
    /// By the name of the listening socket, `WAYLAND_DISPLAY`.
    Display(OsString),
}

/// The running program.
#[derive(Debug)]
pub struct Program(Child);

impl Program {
    /// Starts it.
    ///
    /// `inherited` is what it gets instead of what is ours.
    ///
    /// # Errors
    /// Whatever `execve` gives.
    pub(crate) fn start(
        command: &[OsString],
        reach: Reach,
        inherited: Inherited,
    ) -> io::Result<Self> {
        let [program, arguments @ ..] = command else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("SOMMELIER_VERSION", SOMMELIER_VERSION)
            .env_remove("DISPLAY");
        inherited.restore_for(&mut command);
        let connection = match reach {
            Reach::Socket(socket) => {
                command.env("WAYLAND_SOCKET", socket.as_raw_fd().to_string());
                // No other process is started between here and its end.
                fcntl(&socket, FcntlArg::F_SETFD(FdFlag::empty()))?;
                Some(socket)
            }
            Reach::Display(name) => {
                command
                    .env("WAYLAND_DISPLAY", name)
                    .env_remove("WAYLAND_SOCKET");
                None
            }
        };
        let child = command.spawn();
        drop(connection);
        child.map(Self)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Passes a signal on.
    pub fn signal(&self, number: i32) {
        // It is our child and has not been waited for, so the id is its own.
        let pid = Pid::from_raw(self.0.id().cast_signed());
        if let Err(errno) = Signal::try_from(number).and_then(|signal| kill(pid, signal)) {
            tracing::warn!(number, %errno, "cannot pass a signal on to the program");
        }
    }

    /// The exit status for us, once it has ended: its own, or 128 plus the
    /// number of the signal that killed it.
    ///
    /// # Errors
    /// Whatever `waitpid` gives.
    pub fn poll(&mut self) -> io::Result<Option<i32>> {
        Ok(self.0.try_wait()?.map(exit_code))
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| Some(128 + status.signal()?))
        .unwrap_or(1)
}

/// A pair of sockets: ours, and the program's.
///
/// # Errors
/// Whatever `socketpair` gives.
pub fn private_connection() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((ours, theirs.into()))
}
