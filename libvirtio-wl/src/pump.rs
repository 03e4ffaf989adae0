//! Carries bytes between ordinary pipes and pipe VFDs.
//!
//! One background thread serves all of a device's pipes. It starts with the first one.

mod job;
mod thread;

use std::{
    io,
    sync::{Arc, Mutex},
};

use nix::sys::eventfd::{EfdFlags, EventFd};

pub(crate) use self::job::Job;
use crate::{device::lock, dispatcher::spawn_quiet, limits::MAX_PUMPED_PIPES};

/// The handle to the thread.
///
/// Dropping it lets the thread finish what it carries: like the kernel's pipes, these outlive the
/// program part that made them.
#[derive(Debug, Default)]
pub(crate) struct Pump {
    running: Mutex<Option<Arc<Shared>>>,
}

/// What the thread and its handle share.
#[derive(Debug)]
struct Shared {
    inbox: Mutex<Inbox>,
    /// Written after each change of the inbox.
    wake: EventFd,
}

#[derive(Debug, Default)]
struct Inbox {
    new: Vec<Job>,
    /// Jobs that are not finished, the new ones among them.
    unfinished: usize,
    /// The device is closed: nothing new comes, and nobody else dispatches.
    closed: bool,
}

impl Pump {
    /// Fails with `EMFILE` if `count` more pipes were too many, and starts the thread if need be, so
    /// that [`start`](Self::start) cannot fail.
    pub(crate) fn check_room(&self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let mut running = lock(&self.running);
        let shared = match &*running {
            Some(shared) => shared,
            None => running.insert(Shared::spawn()?),
        };
        if lock(&shared.inbox).unfinished + count > MAX_PUMPED_PIPES {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        Ok(())
    }

    /// Begins to carry bytes.
    pub(crate) fn start(&self, job: Job) {
        let running = lock(&self.running);
        let Some(shared) = &*running else {
            debug_assert!(false, "check_room comes first");
            return;
        };
        let mut inbox = lock(&shared.inbox);
        inbox.new.push(job);
        inbox.unfinished += 1;
        drop(inbox);
        shared.wake();
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        if let Some(shared) = lock(&self.running).take() {
            lock(&shared.inbox).closed = true;
            shared.wake();
        }
    }
}

impl Shared {
    /// Starts the thread. It keeps the device open only through what it carries.
    fn spawn() -> io::Result<Arc<Self>> {
        let shared = Arc::new(Self {
            inbox: Mutex::default(),
            wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
        });
        let theirs = Arc::clone(&shared);
        spawn_quiet("wl-pipes", move || thread::run(&theirs))?;
        Ok(shared)
    }

    fn wake(&self) {
        // Fails only when the counter is full, and then the thread wakes up as well.
        let _ = self.wake.write(1);
    }
}
