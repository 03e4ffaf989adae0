//! The two system interfaces the standard library and nix do not offer safely.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::libc;
use nix::sys::signal::{SigSet, Signal};

/// A pidfd of a child: readable once the child has ended (pidfd_open(2)).
pub(crate) fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::c_ulong::from(pid), 0u64) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives the child an empty signal mask, and lets it be killed when the spawning *thread* ends, so that nothing outlives a test.
///
/// PR_SET_PDEATHSIG follows the thread, not the process: do not spawn from a short-lived helper
/// thread.
pub(crate) fn die_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    // SAFETY: only async-signal-safe calls (prctl, sigmask, getppid) run in the child.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            // A mask set for our own signalfd is not meant for the child.
            SigSet::empty().thread_set_mask()?;
            // The parent may have died before the line above.
            if nix::unistd::getppid() != parent {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe));
            }
            Ok(())
        });
    }
}
