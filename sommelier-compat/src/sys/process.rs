//! Between fork and exec.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::SigSet;

/// Open files that many clients may need: each costs four descriptors, and one
/// more for each of its pools, keymaps and selections.
const WANTED_FILES: rlim_t = 1 << 16;

/// What a program inherits that the relay changes for itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inherited {
    signals: SigSet,
    files: (rlim_t, rlim_t),
}

impl Inherited {
    /// Remembers how things are, to be called first of all.
    ///
    /// # Errors
    /// Whatever reading the signal mask and the limit gives.
    pub(crate) fn remember() -> io::Result<Self> {
        let signals = SigSet::thread_get_mask()?;
        Ok(Self {
            signals,
            files: getrlimit(Resource::RLIMIT_NOFILE)?,
        })
    }

    /// Makes a program start with what was remembered: `Command` passes on the
    /// signal mask, in which the signals are blocked that the event loop reads,
    /// and a program that uses `select` must not have a high limit.
    pub(crate) fn restore_for(self, command: &mut Command) {
        let Self {
            signals,
            files: (soft, hard),
        } = self;
        // SAFETY: the closure makes two async-signal-safe calls and allocates
        // nothing.
        unsafe {
            command.pre_exec(move || {
                setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
                Ok(signals.thread_set_mask()?)
            });
        }
    }

    /// Allows this process more open files, if that is possible.
    pub(crate) fn raise_file_limit(&self) {
        let (soft, hard) = self.files;
        let wanted = WANTED_FILES.min(hard);
        if wanted > soft
            && let Err(errno) = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
        {
            tracing::debug!(%errno, "cannot raise the limit of open files");
        }
    }
}
