//! Between fork and exec.

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::SigSet;

/// Makes a program start with `mask` instead of ours, in which the signals that
/// the event loop reads are blocked: `Command` passes that on.
pub(crate) fn with_signal_mask(command: &mut Command, mask: SigSet) {
    // SAFETY: the closure makes one async-signal-safe call and allocates
    // nothing.
    unsafe { command.pre_exec(move || Ok(mask.thread_set_mask()?)) };
}
