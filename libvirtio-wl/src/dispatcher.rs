//! A thread that dispatches for programs without an event loop.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, OnceLock, Weak},
    thread,
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::SigSet,
    unistd::pipe2,
};

use crate::driver::Driver;

/// Keeps the thread alive; dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    /// Never written: closing it is the signal, which cannot be missed.
    _stop: OwnedFd,
}

impl Dispatcher {
    /// Starts the thread; `None` when this driver needs none.
    pub(crate) fn spawn(driver: &Arc<dyn Driver>) -> io::Result<Option<Self>> {
        let Some(events) = driver.event_fd() else {
            return Ok(None);
        };
        let events = events.try_clone_to_owned()?;
        let (stopped, stop) = pipe2(OFlag::O_CLOEXEC)?;
        // Weak, or the thread would keep the device it serves.
        let driver = Arc::downgrade(driver);
        spawn_quiet("wl-dispatch", move || run(&driver, &events, &stopped))?;
        Ok(Some(Self { _stop: stop }))
    }
}

fn run(driver: &Weak<dyn Driver>, events: &OwnedFd, stopped: &OwnedFd) {
    loop {
        let mut fds = [
            PollFd::new(events.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::empty()),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => {
                tracing::error!("dispatcher cannot poll: {errno}");
                return;
            }
        }
        if fds[1].any().unwrap_or(true) {
            return;
        }
        let Some(driver) = driver.upgrade() else {
            return;
        };
        if let Err(error) = driver.dispatch() {
            tracing::warn!("the device is gone: {error}");
            return;
        }
    }
}

/// What each thread of this library does first.
static AT_START: OnceLock<fn()> = OnceLock::new();

/// See [`crate::bare::at_thread_start`].
pub(crate) fn at_thread_start(hook: fn()) {
    // The first one stays: it is the layer's that was there first.
    let _ = AT_START.set(hook);
}

/// Starts a detached thread that receives no signals: they are the program's.
pub(crate) fn spawn_quiet(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let everything = SigSet::all();
    // A thread inherits the mask, so that there is no moment at which it could be chosen.
    let old = everything.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(|| {
        if let Some(hook) = AT_START.get() {
            hook();
        }
        body();
    });
    old.thread_set_mask()?;
    spawned.map(drop)
}
