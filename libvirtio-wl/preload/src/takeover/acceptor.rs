//! The thread that accepts what the host announces, and queues it for the server.
//!
//! It goes on trying when the device or the context is not there, or not there any more: the parts of
//! a system start in any order and come back.

use std::{
    convert::Infallible,
    io, iter, mem,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{SigSet, SigmaskHow},
};
use virtio_wl_posix::AcceptFlags;

use crate::{boundary, listening::Listening, presence};

/// How soon to try again what has failed for want of something, or as the other side was not there:
/// soon enough for a user who starts both, seldom enough to cost nothing. Twice as late each time, up
/// to [`RETRY_MAX`].
const RETRY: Duration = Duration::from_millis(50);

/// See [`RETRY`].
const RETRY_MAX: Duration = Duration::from_secs(1);

/// How connections are accepted. Servers on libwayland never wait in a call, and whether others would
/// cannot be seen: they say so with fcntl(2).
const ACCEPT: AcceptFlags = AcceptFlags::CLOEXEC
    .union(AcceptFlags::NONBLOCK)
    .union(AcceptFlags::DONTWAIT);

/// Starts the thread. It receives no signals: they are the server's.
pub(super) fn spawn(context: String, listening: Arc<Listening>) -> io::Result<()> {
    virtio_wl::bare::at_thread_start(boundary::stay_inside);
    // A thread inherits the mask, so that there is no moment at which it could be chosen.
    let old = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let spawned = thread::Builder::new()
        .name("wl-accept".to_owned())
        .spawn(move || {
            boundary::stay_inside();
            run(&context, &listening);
        });
    old.thread_set_mask()?;
    spawned.map(drop)
}

/// Why nothing more is accepted for now.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("no device or context to listen on")]
    Refused(#[from] virtio_wl::Error),
    #[error("the host has closed the context")]
    Closed(#[from] io::Error),
}

fn run(context: &str, listening: &Listening) {
    let mut retry = Retry::default();
    let mut last = String::new();
    loop {
        let why = match serve(context, listening, &mut retry) {
            Ok(never) => match never {},
            Err(ended) => chain(&ended),
        };
        // Said once, not each time it is tried.
        if why == last {
            tracing::debug!(context, "{why}");
        } else {
            tracing::warn!(context, "waiting for the host: {why}");
            last = why;
        }
        retry.pause();
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Accepts until the context is closed.
fn serve(context: &str, listening: &Listening, retry: &mut Retry) -> Result<Infallible, Ended> {
    let device = virtio_wl_posix::device()?;
    if device.dispatch().is_err() {
        // It has gone; its connections have hung up.
        virtio_wl_posix::reopen()?;
    }
    let listener = virtio_wl_posix::listen(context)?;
    presence::begin();
    tracing::debug!(context, "listening");
    let mut put_off = false;
    loop {
        listening.wait_room();
        if !mem::take(&mut put_off) {
            wait_readable(listener.as_fd())?;
        }
        match virtio_wl_posix::accept(listener.as_fd(), ACCEPT) {
            Ok((connection, peer)) => {
                tracing::debug!(vm = %peer.vm_name, "connection");
                listening.push(connection)?;
                retry.reset();
            }
            Err(error) => match Errno::from_raw(virtio_wl_posix::errno(&error)) {
                Errno::EAGAIN | Errno::EINTR => {}
                // The connection is kept for the next call, and the listener does not show it.
                Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOSPC => {
                    tracing::warn!("cannot accept a connection now: {error}");
                    put_off = true;
                    retry.pause();
                }
                _ => return Err(error.into()),
            },
        }
    }
}

fn wait_readable(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut set = [PollFd::new(fd, PollFlags::POLLIN)];
    match poll(&mut set, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Pauses that grow.
#[derive(Debug)]
struct Retry(Duration);

impl Default for Retry {
    fn default() -> Self {
        Self(RETRY)
    }
}

impl Retry {
    fn pause(&mut self) {
        let _ = poll(
            &mut [],
            PollTimeout::try_from(self.0).unwrap_or(PollTimeout::MAX),
        );
        self.0 = (self.0 * 2).min(RETRY_MAX);
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}
