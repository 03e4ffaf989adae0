//! All connections of one VM.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use virtio_wl::label::VmName;
use virtio_wl_bridge::link::RETRY;
use virtio_wl_bridge::{Link, Transport, Want};

use crate::passing::Passing;

#[cfg(test)]
mod tests;

/// Connections of one VM at a time. A full desktop session has about forty. Each takes two
/// descriptors here, and one or two of the compositor's.
pub const MAX_LINKS: usize = 128;

/// Events of one VM that are served in a turn of the loop, each with at most
/// [`BYTES_PER_TURN`](virtio_wl_bridge::inbound::BYTES_PER_TURN) bytes either way. Those left out
/// are the first of the next turn, as the kernel takes care of.
const EVENTS_PER_TURN: usize = 8;

/// Longest pause before a link that is stuck is tried again. A client that never reads must not
/// cost more than a few wake-ups per second.
const LONGEST_RETRY: Duration = Duration::from_millis(250);

/// How long the last words of a compositor, its error message most of all, are kept for a client
/// that does not read them. A client that works does so within milliseconds.
const FAREWELL: Duration = Duration::from_secs(5);

/// Names a link for the life of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// All connections of one VM.
#[derive(Debug)]
pub struct Vm {
    name: VmName,
    epoll: Epoll,
    links: BTreeMap<LinkId, Entry>,
}

#[derive(Debug)]
struct Entry {
    link: Link<Passing>,
    /// As registered, to tell whether they changed.
    wanted: [Want; 2],
    /// Until when the client may take the compositor's last words, once that is gone.
    leaving: Option<Instant>,
    /// How long was waited last for what polling does not tell; none unless somebody waits.
    retry: Option<Duration>,
}

impl Vm {
    /// Without connections.
    ///
    /// # Errors
    /// What epoll_create1(2) says.
    pub fn new(name: VmName) -> io::Result<Self> {
        Ok(Self {
            name,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            links: BTreeMap::new(),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &VmName {
        &self.name
    }

    /// Whether it has no connection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Whether it may have one more.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.links.len() < MAX_LINKS
    }

    /// What to poll: readable when [`turn`](Self::turn) has something to do. A duplicate, for an
    /// event loop to own.
    ///
    /// # Errors
    /// What dup(2) says.
    pub fn events(&self) -> io::Result<OwnedFd> {
        self.epoll.0.try_clone()
    }

    /// Joins a connection to the compositor's socket.
    ///
    /// # Errors
    /// What epoll_ctl(2) says; both ends are closed then.
    pub fn add(
        &mut self,
        id: LinkId,
        transport: Box<dyn Transport>,
        display: UnixStream,
    ) -> io::Result<()> {
        let mut link = Link::new(transport, display, Passing::default());
        let wanted = link.wanted();
        for (side, fd) in link.fds().into_iter().enumerate() {
            self.epoll.add(fd, event(id, side, wanted[side]))?;
        }
        let entry = Entry {
            link,
            wanted,
            leaving: None,
            retry: None,
        };
        self.links.insert(id, entry);
        tracing::debug!(vm = %self.name, link = id.0, links = self.links.len(), "connected");
        Ok(())
    }

    /// Serves some of what has happened. The result are links to be tried again
    /// ([`retry`](Self::retry)) after [`RETRY`]; each is named once until it has been.
    ///
    /// # Errors
    /// What epoll_wait(2) says.
    pub fn turn(&mut self) -> io::Result<Vec<LinkId>> {
        let mut events = [EpollEvent::empty(); EVENTS_PER_TURN];
        let count = match self.epoll.wait(&mut events, EpollTimeout::ZERO) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        let mut stuck = Vec::new();
        for event in &events[..count] {
            let (id, side) = (LinkId(event.data() >> 1), (event.data() & 1) as usize);
            let Some(entry) = self.links.get_mut(&id) else {
                continue;
            };
            let mut readable = [false; 2];
            // Hang-ups are seen by reading.
            readable[side] = !event.events().difference(EpollFlags::EPOLLOUT).is_empty();
            match entry.turn(id, &self.epoll, readable) {
                Step::Over => self.remove(id),
                Step::Stuck if entry.retry.is_none() => {
                    entry.retry = Some(RETRY);
                    stuck.push(id);
                }
                Step::Stuck | Step::Fine => {}
            }
        }
        Ok(stuck)
    }

    /// Tries again what polling does not tell; after which pause once more, if need be.
    pub fn retry(&mut self, id: LinkId) -> Option<Duration> {
        let entry = self.links.get_mut(&id)?;
        let before = entry.link.pending();
        match entry.again(id, &self.epoll) {
            Step::Over => {
                self.remove(id);
                None
            }
            Step::Fine => {
                entry.retry = None;
                None
            }
            Step::Stuck => {
                let pause = entry.retry.filter(|_| entry.link.pending() == before);
                let pause = pause.map_or(RETRY, |pause| (2 * pause).min(LONGEST_RETRY));
                entry.retry = Some(pause);
                Some(pause)
            }
        }
    }

    fn remove(&mut self, id: LinkId) {
        if let Some(entry) = self.links.remove(&id) {
            entry.forget(&self.epoll);
            tracing::debug!(vm = %self.name, link = id.0, links = self.links.len(), "closed");
        }
    }
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Fine,
    /// It waits for something that polling does not tell.
    Stuck,
    Over,
}

impl Entry {
    fn turn(&mut self, id: LinkId, epoll: &Epoll, readable: [bool; 2]) -> Step {
        match self.link.turn(readable) {
            Ok(turn) => match self.update(id, epoll) {
                Ok(()) if turn.stuck => Step::Stuck,
                Ok(()) => Step::Fine,
                Err(error) => {
                    tracing::error!(%error, "cannot wait for a connection");
                    Step::Over
                }
            },
            Err(end) if self.link.finish(&end) => Step::Over,
            Err(_) => {
                // A hang-up would be told again and again.
                self.forget(epoll);
                self.leaving = Some(Instant::now() + FAREWELL);
                Step::Stuck
            }
        }
    }

    fn again(&mut self, id: LinkId, epoll: &Epoll) -> Step {
        let Some(until) = self.leaving else {
            return self.turn(id, epoll, [false; 2]);
        };
        match self.link.flush() {
            Ok(false) if Instant::now() < until => Step::Stuck,
            _ => Step::Over,
        }
    }

    /// Waits for what the link wants now.
    fn update(&mut self, id: LinkId, epoll: &Epoll) -> io::Result<()> {
        let wanted = self.link.wanted();
        for (side, fd) in self.link.fds().into_iter().enumerate() {
            if wanted[side] != self.wanted[side] {
                epoll.modify(fd, &mut event(id, side, wanted[side]))?;
            }
        }
        self.wanted = wanted;
        Ok(())
    }

    fn forget(&self, epoll: &Epoll) {
        if self.leaving.is_none() {
            for fd in self.link.fds() {
                // Closing does the same, unless somebody has a duplicate.
                let _ = epoll.delete(fd);
            }
        }
    }
}

fn event(id: LinkId, side: usize, want: Want) -> EpollEvent {
    let mut flags = EpollFlags::empty();
    flags.set(EpollFlags::EPOLLIN, want.read);
    flags.set(EpollFlags::EPOLLOUT, want.write);
    EpollEvent::new(flags, id.0 << 1 | side as u64)
}
