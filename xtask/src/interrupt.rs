//! Ctrl-C as an event, so that everything is stopped in order.

use std::os::fd::{AsFd as _, BorrowedFd};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// SIGINT and SIGTERM, taken from their default action.
#[derive(Debug)]
pub(crate) struct Interrupt {
    fd: SignalFd,
}

impl Interrupt {
    /// Takes both signals. Before any thread is started.
    ///
    /// # Errors
    /// When signalfd(2) fails.
    pub(crate) fn take() -> Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGINT);
        set.add(Signal::SIGTERM);
        set.thread_block().context("signal mask")?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .context("signalfd")?;
        Ok(Self { fd })
    }

    /// Readable once a signal has come.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Ends the run between two steps when a signal has come.
    ///
    /// # Errors
    /// When one has.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(!self.taken()?, "interrupted");
        Ok(())
    }

    /// Whether a signal has come; each counts once.
    ///
    /// # Errors
    /// When signalfd(2) fails.
    pub(crate) fn taken(&self) -> Result<bool> {
        Ok(self.fd.read_signal().context("signalfd")?.is_some())
    }
}
