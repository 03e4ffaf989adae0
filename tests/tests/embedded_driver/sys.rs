//! fork(2), which Rust cannot check.
#![allow(unsafe_code)]

use anyhow::Result;
use nix::unistd::{ForkResult, Pid, fork as nix_fork};

/// Runs `child` in a forked process, which ends with the status it returns.
pub(crate) fn fork(child: impl FnOnce() -> i32) -> Result<Pid> {
    // SAFETY: other threads may hold locks of the allocator at the fork, which glibc takes care
    // of; nothing else that the child touches is shared with other threads.
    match unsafe { nix_fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let status = child();
            // SAFETY: ends this process at once, without running anything of the parent's.
            unsafe { nix::libc::_exit(status) }
        }
    }
}
