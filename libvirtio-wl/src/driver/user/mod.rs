//! The embedded driver: this process is the guest, over vhost-user.
//!
//! It does what a VM does towards the device, with real virtqueues in memory that the device maps,
//! but without a VM: it is the guest's driver and the VMM's vhost-user frontend at once. The device
//! cannot tell the difference.
//!
//! | module | job | knows |
//! |---|---|---|
//! | `layout`, `memory` | guest memory and what lies where | sizes |
//! | `ring` | split virtqueue, driver side, EVENT_IDX | descriptors |
//! | `inbound`, `outbound` | the two queues: buffers, requests, replies | bytes |
//! | `session` | vhost-user set-up | the protocol's order |
//! | `shmem` | the device's requests to map memory | files by offset |
//! | `state` | VFDs, and what the lock protects | the queues |
//! | `traffic` | what the device's messages do to that | the wire |
//! | `transfer`, `refresh` | what a caller's call does to that | the wire |
//! | `inbox`, `vfd`, `token`, `identity`, `ids` | one VFD: its data, its fd, its names | |
//! | `lending` | memory that users hold | open files |
//! | `poller`, `wait` | what to wait for, and who does | threads |
//!
//! # File descriptors
//!
//! A *stream* VFD is the read end of a pipe that holds one byte while there is something to
//! receive. It hangs up when the stream has ended and everything was taken. Never read(2) it. It
//! closes in the device when the last duplicate of the fd is closed, anywhere.
//!
//! A *memory* VFD is the device's memfd itself, opened once more for its user. It closes in the
//! device when the last duplicate of that fd *and* the last mapping are gone, anywhere (see
//! `lending`).
//!
//! Both closings are noticed when somebody dispatches or waits.
//!
//! Memory is never reused for another allocation: whoever was sent the first one may still have it
//! mapped, and would see or change the second.
//!
//! # Who runs it
//!
//! There is no thread. Traffic moves when somebody waits in a call, sends, or dispatches; a program
//! whose only thread waits for something else keeps the device waiting too, with what was sent
//! before still on the queue, once the device has something to ask (to undo a mapping, say).
//! Programs without an event loop start [`Device::spawn_dispatcher`](crate::Device::spawn_dispatcher).
//!
//! The queues are one process's: after a fork, everything fails with `ENODEV` in the child, and the
//! child's copies of the descriptors keep streams and the device open until it executes a program or
//! ends.
//!
//! # Sending
//!
//! A message is sent when it is on the queue. If the device reports a failure afterwards, the
//! stream is broken and the next send fails with `EPIPE`, as on a socket. There is no writability
//! to poll: after `EAGAIN`, [`Driver::event_fd`] becomes readable when there may be room again, and
//! once that is dispatched, the VFD too, even with nothing to receive (`EAGAIN` again). So a
//! program that waits for either, as libwayland does, comes back and sends the rest.

use std::{
    env,
    io::{self, IoSlice, IoSliceMut},
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit, setrlimit},
};

use self::{
    state::State,
    token::{FileId, TokenPipe},
    wait::{Need, Shared},
};
use super::{Driver, DriverStats, NewVfd};
use crate::{
    error::{Error, Result},
    wire::{ContextName, PipeDirection, Request, VfdFlags, VfdId, VfdKind},
};

mod identity;
mod ids;
mod inbound;
mod inbox;
mod layout;
mod lending;
mod memory;
#[cfg(test)]
mod mock;
mod outbound;
mod poller;
mod refresh;
mod ring;
mod session;
mod shmem;
mod state;
mod sys;
mod token;
mod traffic;
mod transfer;
mod vfd;
mod wait;

/// Environment variable: microseconds to look for news before a call that blocks in the driver
/// (creating, sending, and receiving with `nonblock` unset) goes to sleep. 20 to 50 lower the latency
/// where there are cores to spare; unset or 0 means not to. Callers that poll the fds themselves, as
/// `Channel::recv` does, are not affected.
const POLL_VARIABLE: &str = "VIRTIO_WL_POLL_US";

/// Descriptors this process should be able to have: each memory VFD takes two, each stream three.
const WANTED_FILES: u64 = 65536;

/// A connection to a device as its guest.
#[derive(Debug)]
pub(crate) struct UserDriver {
    shared: Shared,
}

impl UserDriver {
    /// Connects to the vhost-user socket of a device.
    ///
    /// Raises this process's soft limit of open files.
    pub(crate) fn connect(path: &Path) -> Result<Self> {
        raise_file_limit();
        let session = session::open(path).map_err(|source| Error::Open {
            path: path.to_owned(),
            source,
        })?;
        let spin = env::var(POLL_VARIABLE)
            .ok()
            .and_then(|text| text.parse().ok())
            .map_or(Duration::ZERO, Duration::from_micros);
        Ok(Self {
            shared: Shared::new(session, spin),
        })
    }

    /// Creates a stream. Its descriptor is made before the device is asked: the host gives each
    /// connection away once, and one whose descriptor cannot be made would be lost.
    fn create_stream(&self, request: impl Fn(VfdId) -> Request<'static>) -> io::Result<NewVfd> {
        self.create(Some(TokenPipe::new()?), request)
    }

    fn create(
        &self,
        mut spare: Option<(TokenPipe, OwnedFd)>,
        request: impl Fn(VfdId) -> Request<'static>,
    ) -> io::Result<NewVfd> {
        // What the user has closed must not count against what it asks for.
        self.shared.dispatch()?;
        self.shared.with(State::close_unwatched)?;
        let id = self
            .shared
            .wait(Need::Requests, |state| state.begin_create(&request))?;
        self.shared
            .wait(Need::Requests, |state| state.end_create(id, &mut spare))
    }
}

impl Driver for UserDriver {
    fn new_context(&self, name: &ContextName) -> io::Result<NewVfd> {
        let name = *name;
        self.create_stream(|id| Request::NewContext { id, name })
    }

    fn new_memory(&self, size: u32) -> io::Result<NewVfd> {
        let flags = VfdFlags::empty();
        self.create(None, |id| Request::NewMemory { id, flags, size })
    }

    fn new_pipe(&self, direction: PipeDirection) -> io::Result<NewVfd> {
        self.create_stream(|id| Request::NewPipe { id, direction })
    }

    fn send(
        &self,
        vfd: BorrowedFd<'_>,
        bufs: &[IoSlice<'_>],
        vfds: &[BorrowedFd<'_>],
        nonblock: bool,
    ) -> io::Result<usize> {
        let file = FileId::of(vfd)?;
        let attached = vfds
            .iter()
            .map(FileId::of)
            .collect::<io::Result<Vec<_>>>()?;
        if nonblock {
            let sent = self.shared.with(|state| {
                state.pump();
                state.try_send_or_hear(file, vfd, bufs, &attached)
            })??;
            return sent.ok_or_else(|| Errno::EAGAIN.into());
        }
        self.shared.wait(Need::Requests, |state| {
            state.try_send(file, bufs, &attached)
        })
    }

    fn recv(
        &self,
        vfd: BorrowedFd<'_>,
        bufs: &mut [IoSliceMut<'_>],
        out: &mut Vec<NewVfd>,
        nonblock: bool,
    ) -> io::Result<usize> {
        let file = FileId::of(vfd)?;
        if nonblock {
            let received = self.shared.with(|state| {
                state.pump();
                state.try_receive(file, vfd, bufs, out)
            })??;
            return received.ok_or_else(|| Errno::EAGAIN.into());
        }
        self.shared.wait(Need::Messages, |state| {
            state.try_receive(file, vfd, bufs, out)
        })
    }

    fn identify(&self, fd: BorrowedFd<'_>) -> io::Result<Option<VfdKind>> {
        let file = FileId::of(fd)?;
        self.shared.with(|state| state.kind(file))
    }

    fn refresh(&self, vfd: BorrowedFd<'_>) -> io::Result<u64> {
        let file = FileId::of(vfd)?;
        let ticket = self
            .shared
            .wait(Need::Requests, |state| state.begin_refresh(file))?;
        self.shared
            .wait(Need::Requests, |state| state.end_refresh(ticket))
    }

    fn stats(&self) -> Option<DriverStats> {
        self.shared.with(|state| state.stats).ok()
    }

    fn close(&self, fd: OwnedFd) {
        let Ok(file) = FileId::of(&fd) else { return };
        drop(fd);
        // In a forked child only the descriptor goes.
        let _ = self.shared.with(|state| state.closed_by_user(file));
    }

    fn event_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.shared.event_fd())
    }

    fn dispatch(&self) -> io::Result<()> {
        self.shared.dispatch()
    }
}

/// Raises the soft limit of open files towards the hard one. A VFD that cannot be given a number is
/// an error that its user can handle, so failing here is none.
fn raise_file_limit() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    let wanted = WANTED_FILES.min(hard);
    if wanted > soft
        && let Err(errno) = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
    {
        tracing::debug!(%errno, "cannot raise the limit of open files");
    }
}

#[cfg(test)]
mod tests;
