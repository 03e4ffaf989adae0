//! One VFD.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::super::memory::Block;
use super::super::quota::Charge;
use super::super::stream::{Stream, StreamKind};
use super::super::watch::Watch;
use super::{Announced, Key};

/// What is behind a VFD.
#[derive(Debug)]
pub(super) enum Body {
    Stream(Stream),
    Memory(Block),
    Fence(Arc<OwnedFd>),
    /// Nothing the guest can use. What cannot be used may still be passed on.
    Dead(Option<Arc<OwnedFd>>),
}

/// What is left of a VFD that was closed.
#[derive(Debug)]
pub(super) enum Remains {
    Nothing,
    /// Memory to release.
    Memory(Block),
    /// A stream whose peer has not taken everything.
    Unsent(Stream, Charge),
}

/// How far the end of a VFD has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HangUp {
    No,
    /// Ended; the guest does not know yet.
    Pending,
    Reported,
}

/// What has passed through a VFD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes from the host to the guest.
    pub in_bytes: u64,
    /// Messages from the host to the guest.
    pub in_messages: u64,
    /// Descriptors from the host to the guest.
    pub in_fds: u64,
    /// Bytes from the guest to the host.
    pub out_bytes: u64,
    /// Messages from the guest to the host.
    pub out_messages: u64,
    /// Descriptors from the guest to the host.
    pub out_fds: u64,
}

impl Traffic {
    pub(super) fn count_in(&mut self, bytes: usize, fds: usize) {
        self.in_bytes += bytes as u64;
        self.in_messages += 1;
        self.in_fds += fds as u64;
    }

    fn count_out(&mut self, bytes: usize, fds: usize) {
        self.out_bytes += bytes as u64;
        self.out_messages += 1;
        self.out_fds += fds as u64;
    }
}

/// A VFD as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VfdReport {
    /// Its id.
    pub key: Key,
    /// What it is.
    pub kind: &'static str,
    /// The context it was opened as.
    pub name: Option<Box<str>>,
    /// What has passed.
    pub traffic: Traffic,
    /// Bytes waiting for the host peer.
    pub queued: u64,
    /// Descriptors waiting for the host peer.
    pub queued_fds: u64,
    /// Has something for the guest that there was no room for, or no turn yet.
    pub waiting: bool,
    /// Nothing more will come from the host.
    pub ended: bool,
    /// Bytes, for memory.
    pub size: Option<u64>,
}

/// One VFD.
#[derive(Debug)]
pub(super) struct Vfd {
    pub(super) body: Body,
    pub(super) hang_up: HangUp,
    pub(super) traffic: Traffic,
    /// The context it was opened as.
    pub(super) name: Option<Box<str>>,
    /// Is in the session's round.
    pub(super) in_ready: bool,
    /// In the readers of the watch.
    watched: bool,
    paused: bool,
    /// In the writers of the watch.
    writing: bool,
    charge: Charge,
}

impl Vfd {
    pub(super) fn new(body: Body, charge: Charge) -> Self {
        Vfd {
            body,
            hang_up: HangUp::No,
            traffic: Traffic::default(),
            name: None,
            in_ready: false,
            watched: false,
            paused: false,
            writing: false,
            charge,
        }
    }

    pub(super) fn announced(&self) -> Announced {
        match &self.body {
            Body::Stream(stream) => match stream.kind() {
                StreamKind::Socket => Announced::Socket,
                StreamKind::Pipe { read, write } => Announced::Pipe { read, write },
            },
            Body::Memory(block) => match block.offset() {
                Some(offset) => Announced::Memory {
                    offset,
                    size: block.size(),
                },
                None => Announced::Dead,
            },
            Body::Fence(_) => Announced::Fence,
            Body::Dead(_) => Announced::Dead,
        }
    }

    pub(super) fn enqueue(&mut self, key: Key, ready: &mut VecDeque<Key>) {
        if !self.in_ready {
            self.in_ready = true;
            ready.push_back(key);
        }
    }

    pub(super) fn is_readable(&self) -> bool {
        matches!(&self.body, Body::Stream(stream) if stream.readable())
    }

    pub(super) fn can_forward(&self) -> bool {
        match &self.body {
            Body::Stream(stream) => stream.can_forward(),
            Body::Memory(_) | Body::Fence(_) => true,
            Body::Dead(fd) => fd.is_some(),
        }
    }

    /// Whether it can go into a message only once.
    pub(super) fn forwards_once(&self) -> bool {
        matches!(&self.body, Body::Stream(stream) if stream.kind() != StreamKind::Socket)
    }

    pub(super) fn forward(&mut self) -> Option<Arc<OwnedFd>> {
        match &mut self.body {
            Body::Stream(stream) => stream.forward(),
            Body::Memory(block) => Some(block.share()),
            Body::Fence(fd) => Some(Arc::clone(fd)),
            Body::Dead(fd) => fd.clone(),
        }
    }

    pub(super) fn send(
        &mut self,
        key: Key,
        bytes: &[u8],
        fds: Vec<Arc<OwnedFd>>,
        watch: &mut Watch,
    ) -> io::Result<()> {
        let Body::Stream(stream) = &mut self.body else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let count = fds.len();
        stream.send(bytes, fds)?;
        self.traffic.count_out(bytes.len(), count);
        if stream.has_queued() && !self.writing {
            watch.add_writer(key, stream.poll_fd())?;
            self.writing = true;
        }
        Ok(())
    }

    /// Sends what is queued; stops waiting for room once nothing is.
    pub(super) fn flush(&mut self, watch: &mut Watch) {
        let Body::Stream(stream) = &mut self.body else {
            return;
        };
        // A peer that is gone shows on the reading side, after its last bytes.
        if (!stream.flush() || !stream.has_queued()) && self.writing {
            watch.remove_writer(stream.poll_fd());
            self.writing = false;
        }
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.body {
            Body::Stream(stream) => Some(stream.poll_fd()),
            Body::Fence(fd) => Some(fd.as_fd()),
            Body::Memory(_) | Body::Dead(_) => None,
        }
    }

    pub(super) fn watch(&mut self, key: Key, watch: &Watch) -> io::Result<()> {
        if self.watched || self.hang_up != HangUp::No {
            return Ok(());
        }
        let input = match &self.body {
            Body::Stream(stream) => stream.readable(),
            Body::Fence(_) => true,
            Body::Memory(_) | Body::Dead(_) => return Ok(()),
        };
        if let Some(fd) = self.poll_fd() {
            watch.add_reader(key, fd, input)?;
            self.watched = true;
        }
        Ok(())
    }

    pub(super) fn unwatch(&mut self, watch: &Watch) {
        if std::mem::take(&mut self.watched)
            && let Some(fd) = self.poll_fd()
        {
            watch.remove_reader(fd);
        }
    }

    pub(super) fn pause(&mut self, watch: &Watch) {
        self.paused = true;
        self.unwatch(watch);
    }

    pub(super) fn resume(&mut self, key: Key, watch: &Watch) {
        if std::mem::take(&mut self.paused)
            && let Err(error) = self.watch(key, watch)
        {
            tracing::warn!(vfd = key, %error, "cannot watch");
        }
    }

    /// Nothing more comes. Sending may still work: a peer can close one direction.
    pub(super) fn end(&mut self, watch: &Watch) {
        self.unwatch(watch);
        if self.hang_up == HangUp::No {
            self.hang_up = HangUp::Pending;
        }
    }

    /// Nothing more comes or goes.
    pub(super) fn cut_off(&mut self, watch: &mut Watch) {
        if let Body::Stream(stream) = &mut self.body {
            if std::mem::take(&mut self.writing) {
                watch.remove_writer(stream.poll_fd());
            }
            stream.shut_down();
        }
        self.end(watch);
    }

    /// Bytes its peer has not taken.
    pub(super) fn queued(&self) -> usize {
        match &self.body {
            Body::Stream(stream) => stream.queued().0,
            _ => 0,
        }
    }

    /// Takes the VFD apart.
    pub(super) fn detach(mut self, watch: &mut Watch) -> Remains {
        self.unwatch(watch);
        if std::mem::take(&mut self.writing)
            && let Some(fd) = self.poll_fd()
        {
            watch.remove_writer(fd);
        }
        match self.body {
            Body::Memory(block) => Remains::Memory(block),
            Body::Stream(stream) if stream.has_queued() => Remains::Unsent(stream, self.charge),
            _ => Remains::Nothing,
        }
    }

    #[cfg(any(test, feature = "test-util"))]
    pub(super) fn is_writing(&self) -> bool {
        self.writing
    }

    #[cfg(any(test, feature = "test-util"))]
    pub(super) fn verify_invariants(&self, key: Key) {
        assert_eq!(
            self.writing,
            self.queued() > 0,
            "{key:#x} does not wait for its peer"
        );
        assert!(
            !(self.watched && self.paused),
            "{key:#x} is read though paused"
        );
        let ended = self.hang_up != HangUp::No;
        assert!(!(self.watched && ended), "{key:#x} is read after its end");
        let pending = self.hang_up == HangUp::Pending;
        assert!(!pending || self.in_ready, "{key:#x} would never hang up");
    }

    pub(super) fn report(&self, key: Key) -> VfdReport {
        let (kind, queued, size) = match &self.body {
            Body::Stream(stream) => {
                let kind = match stream.kind() {
                    StreamKind::Socket => "socket",
                    StreamKind::Pipe { .. } => "pipe",
                };
                (kind, stream.queued(), None)
            }
            Body::Memory(block) => ("memory", (0, 0), Some(block.size())),
            Body::Fence(_) => ("fence", (0, 0), None),
            Body::Dead(_) => ("dead", (0, 0), None),
        };
        VfdReport {
            key,
            kind,
            name: self.name.clone(),
            traffic: self.traffic,
            queued: queued.0 as u64,
            queued_fds: queued.1 as u64,
            waiting: self.paused || self.in_ready,
            ended: self.hang_up != HangUp::No,
            size,
        }
    }
}
