//! The thread that sends what connections keep, where the program hears nothing of room.
//!
//! With the embedded driver there is no need of it: a connection's descriptor becomes readable when it
//! may be tried again, and the program's next recvmsg(2) does so. A file of the kernel's driver becomes
//! writable, which a program that was told that everything was sent does not look at.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, RawFd},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};
use virtio_wl::bare::spawn_quiet;

use super::flush;
use crate::{
    resolve::{Resolved, borrow, resolve},
    table::Connection,
};

/// Started by the first connection that keeps something.
static FLUSHER: OnceLock<Arc<Flusher>> = OnceLock::new();

/// What the thread and its users share.
#[derive(Debug)]
struct Flusher {
    new: Mutex<Vec<Watched>>,
    /// Written after each change.
    wake: EventFd,
}

/// A connection that keeps something, under the number that it was sent to by. Nothing of it is held, so
/// that it closes when the program closes it.
#[derive(Debug)]
struct Watched {
    number: RawFd,
    connection: Arc<Connection>,
}

/// Has what the connection keeps sent when there is room.
pub(super) fn watch(resolved: &Resolved<'_>) {
    if resolved.device.event_fd().is_some() {
        return;
    }
    let flusher = match FLUSHER.get() {
        Some(flusher) => flusher,
        None => match Flusher::start() {
            Ok(started) => FLUSHER.get_or_init(|| started),
            Err(error) => {
                // The next call for this connection sends it, too.
                tracing::warn!("nobody sends what connections keep: {error}");
                return;
            }
        },
    };
    let watched = Watched {
        number: resolved.fd.as_raw_fd(),
        connection: Arc::clone(&resolved.connection),
    };
    let mut new = flusher.new.lock().unwrap_or_else(PoisonError::into_inner);
    new.push(watched);
    drop(new);
    // Fails only when the counter is full, and then the thread wakes up as well.
    let _ = flusher.wake.write(1);
}

impl Flusher {
    fn start() -> io::Result<Arc<Self>> {
        let flusher = Arc::new(Self {
            new: Mutex::default(),
            wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
        });
        let own = Arc::clone(&flusher);
        spawn_quiet("wl-send", move || own.run())?;
        Ok(flusher)
    }

    fn run(&self) {
        let mut watched: Vec<Watched> = Vec::new();
        loop {
            let ready = match self.wait(&watched) {
                Ok(ready) => ready,
                Err(errno) => {
                    tracing::error!("the sender cannot poll: {errno}");
                    return;
                }
            };
            let mut ready = ready.into_iter();
            watched.retain(|one| ready.next() != Some(true) || one.step());
            let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
            for one in new.drain(..) {
                // One place is enough for a connection that keeps something again and again.
                if !watched.iter().any(|other| other.is_same(&one)) {
                    watched.push(one);
                }
            }
        }
    }

    /// Waits for room, an end or news; which connections have something.
    fn wait(&self, watched: &[Watched]) -> nix::Result<Vec<bool>> {
        let mut fds = vec![PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        // A number that is closed meanwhile is reported at once.
        let numbers = watched.iter().filter_map(|one| borrow(one.number).ok());
        fds.extend(numbers.map(|fd| PollFd::new(fd, PollFlags::POLLOUT)));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        if fds[0].any().unwrap_or(true) {
            let _ = self.wake.read();
        }
        Ok(fds[1..].iter().map(|fd| fd.any().unwrap_or(true)).collect())
    }
}

impl Watched {
    /// Sends; whether something is left.
    fn step(&self) -> bool {
        match resolve(self.number) {
            Ok(resolved) if Arc::ptr_eq(&resolved.connection, &self.connection) => {
                flush(&resolved).is_ok() && !self.connection.backlog.is_done()
            }
            // The program has closed it, and may have opened another file since.
            _ => {
                self.connection.backlog.give_up();
                false
            }
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.number == other.number && Arc::ptr_eq(&self.connection, &other.connection)
    }
}
