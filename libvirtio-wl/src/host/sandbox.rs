//! Giving up what a daemon does not need once it has started.
//!
//! Two independent fences:
//!
//! * **landlock**: no file but those named, no TCP, no abstract Unix socket of another
//!   process, no signal to another process. Kernels without it (before 5.13, or not
//!   enabled) get a warning, and the second fence alone.
//! * **seccomp**: an allow-list of system calls. Anything else fails with `EPERM`
//!   instead of killing: a call that a C library makes for reasons of its own must not
//!   take every VM's windows with it. Nothing may become executable memory, no program
//!   can be started, and new sockets are Unix sockets only.
//!
//! Apply it in the first thread, before others are started: landlock binds the calling
//! thread and those it starts later.
//!
//! ```no_run
//! # use virtio_wl::host::sandbox::{self, FsAccess, Sandbox};
//! # fn main() -> Result<(), sandbox::SandboxError> {
//! Sandbox::new()
//!     .path("/etc/example.toml", FsAccess::Read)
//!     .path("/run/example", FsAccess::Sockets)
//!     .syscalls(sandbox::SOCKETS)
//!     .syscalls(sandbox::FILES)
//!     .apply()?;
//! # Ok(()) }
//! ```
//!
//! When something fails with `EPERM` under a sandbox, `strace -f` shows the call.

mod filter;
mod fs;
mod syscalls;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::address::DeviceAddress;
use crate::driver::kernel::REQUESTS;

pub use fs::FsAccess;
pub use syscalls::{BASE, FILES, MEMFD, SOCKETS, THREADS};

/// What a daemon keeps; everything else is given up by [`Sandbox::apply`].
#[derive(Clone, Debug)]
#[must_use = "a sandbox does nothing until it is applied"]
pub struct Sandbox {
    paths: Vec<(PathBuf, FsAccess)>,
    filter: filter::Filter,
}

/// How far the kernel went along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFence {
    /// All that was asked for.
    Full,
    /// What this kernel knows of it.
    Partial,
    /// This kernel has no landlock: files are not fenced.
    Missing,
}

impl Sandbox {
    /// Keeps [`BASE`] and no file at all.
    pub fn new() -> Self {
        Self {
            paths: Vec::new(),
            filter: filter::Filter::new(),
        }
    }

    /// Keeps access to a file, or to a directory and all below it. It must exist.
    pub fn path(mut self, path: impl Into<PathBuf>, access: FsAccess) -> Self {
        self.paths.push((path.into(), access));
        self
    }

    /// Keeps access to the directory that holds `file`, whether or not it exists: for
    /// files that are removed, made anew or replaced.
    pub fn directory_of(self, file: &Path, access: FsAccess) -> Self {
        match file.parent() {
            Some(parent) if parent != Path::new("") => self.path(parent, access),
            _ => self.path(".", access),
        }
    }

    /// Keeps what a guest does with its device ([`Device`](crate::Device)), by either driver: for
    /// programs that are guests themselves.
    pub fn guest(self, device: &DeviceAddress) -> Self {
        // Its own descriptors: pipes and memory are opened anew, not to share their flags.
        let guest = self
            .path("/proc/self/", FsAccess::Read)
            .syscalls(SOCKETS)
            .syscalls(FILES)
            .syscalls(MEMFD)
            .syscalls(THREADS)
            .syscalls(&[libc::SYS_pipe2]);
        match device {
            // A device that was away has a new node when it is back.
            DeviceAddress::Kernel(node) => guest.directory_of(node, FsAccess::Device).syscall_with(
                libc::SYS_ioctl,
                1,
                &REQUESTS,
            ),
            DeviceAddress::VhostUser(_) => guest,
        }
    }

    /// Keeps system calls, whatever their arguments. `mmap`, `mprotect`, `socket`,
    /// `socketpair` and `tgkill` stay restricted even when named here.
    pub fn syscalls(mut self, numbers: &[i64]) -> Self {
        self.filter.allow(numbers);
        self
    }

    /// Keeps a system call for calls whose 32-bit argument `argument` (0 to 5) is one of
    /// `values`, for example `ioctl` for some requests.
    pub fn syscall_with(mut self, number: i64, argument: u8, values: &[u32]) -> Self {
        self.filter.allow_with(number, argument, values);
        self
    }

    /// Gives up everything else. There is no way back.
    ///
    /// # Errors
    ///
    /// A path does not exist, or the kernel refuses. The process may then be restricted
    /// in part, and should end.
    pub fn apply(self) -> Result<FileFence, SandboxError> {
        let program = self.filter.compile()?;
        let fence = fs::restrict(&self.paths)?;
        if fence == FileFence::Missing {
            tracing::warn!(
                "this kernel has no landlock: files are not fenced, only system calls are"
            );
        }
        seccompiler::apply_filter_all_threads(&program).map_err(SandboxError::Install)?;
        Ok(fence)
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

/// Why the sandbox could not be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// A path that should stay accessible cannot be opened.
    #[error("cannot allow access to {path}")]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: landlock::PathFdError,
    },
    /// Landlock is there and failed.
    #[error("landlock failed")]
    Landlock(#[from] landlock::RulesetError),
    /// The list of system calls makes no filter.
    #[error("cannot compile the system call filter")]
    Compile(#[source] seccompiler::BackendError),
    /// The kernel does not take the filter.
    #[error("cannot install the system call filter")]
    Install(#[source] seccompiler::Error),
}
