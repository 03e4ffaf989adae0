//! The thread that accepts what the host announces, and queues it for the server.
//!
//! It goes on trying when the device or the context is not there, or not there any more: the parts of
//! a system start in any order and come back.

use std::{
    convert::Infallible,
    io, iter, mem,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::mpsc::{self, SyncSender},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use virtio_wl::{
    Peer,
    bare::{at_thread_start, spawn_quiet},
};
use virtio_wl_posix::AcceptFlags;

use super::{labels::Labels, retry::Retry};
use crate::{boundary, listening::MAX_WAITING, presence};

/// How connections are accepted. Servers on libwayland never wait in a call, and whether others would
/// cannot be seen: they say so with fcntl(2).
const ACCEPT: AcceptFlags = AcceptFlags::CLOEXEC
    .union(AcceptFlags::NONBLOCK)
    .union(AcceptFlags::DONTWAIT);

/// Starts the threads: one accepts, so that no connection waits at the host for longer than it likes; one
/// tells the compositor whose they are.
pub(super) fn spawn(context: String, labels: Labels) -> io::Result<()> {
    at_thread_start(boundary::stay_inside);
    let (sender, receiver) = mpsc::sync_channel(MAX_WAITING);
    spawn_quiet("wl-labels", move || labels.run(&receiver))?;
    spawn_quiet("wl-accept", move || run(&context, &sender))
}

/// Why nothing more is accepted for now.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("no device or context to listen on")]
    Refused(#[from] virtio_wl::Error),
    #[error("the host has closed the context")]
    Closed(#[from] io::Error),
    #[error("nobody queues connections")]
    Unwanted,
}

/// Where connections go.
type Accepted = SyncSender<(OwnedFd, Peer)>;

fn run(context: &str, accepted: &Accepted) {
    let mut retry = Retry::default();
    let mut last = String::new();
    loop {
        let why = match serve(context, accepted, &mut retry) {
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
fn serve(context: &str, accepted: &Accepted, retry: &mut Retry) -> Result<Infallible, Ended> {
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
        if !mem::take(&mut put_off) {
            wait_readable(listener.as_fd())?;
        }
        match virtio_wl_posix::accept(listener.as_fd(), ACCEPT) {
            Ok((connection, peer)) => {
                tracing::debug!(vm = %peer.vm_name, "connection");
                retry.reset();
                // Waits when many do already: those behind them wait at the host.
                if accepted.send((connection, peer)).is_err() {
                    return Err(Ended::Unwanted);
                }
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
