//! One guest's VFDs, and everything it can do with them.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::memory::MemoryStore;
use super::names::{NameTable, Target};
use super::outqueue::OutQueue;
use super::quota::{Charge, Quota, Resource};
use super::stream::{Input, Stream, StreamKind, connect_now};
use super::watch::{Waker, Watch};

mod linger;
mod receive;
mod types;
mod vfd;

#[cfg(test)]
mod tests;

use linger::Lingering;
pub use types::{Announced, Inbound, SessionError, Shape};
use vfd::{Body, HangUp, Remains, Vfd};
pub use vfd::{Traffic, VfdReport};

/// Names a VFD; the personality chooses those the guest creates.
pub type Key = u32;

/// One guest's VFDs.
#[derive(Debug)]
pub struct Session {
    shape: Shape,
    vfds: HashMap<Key, Vfd>,
    next_key: Key,
    /// VFDs with something to report, round robin. Each is in here at most once.
    ready: VecDeque<Key>,
    /// Announced VFDs that do not exist, still to be hung up: those of one message.
    orphans: VecDeque<Key>,
    /// Streams the guest has closed and whose peer has not taken everything yet.
    lingering: Lingering,
    watch: Watch,
    memory: MemoryStore,
    /// The last memory that was closed.
    last_memory: Option<Key>,
    names: Arc<NameTable>,
    quota: Arc<Quota>,
    buf: Vec<u8>,
}

impl Session {
    /// A session without VFDs.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn new(
        shape: Shape,
        memory: MemoryStore,
        names: Arc<NameTable>,
        quota: Arc<Quota>,
    ) -> io::Result<Self> {
        Ok(Session {
            shape,
            vfds: HashMap::new(),
            next_key: shape.first_key,
            ready: VecDeque::new(),
            orphans: VecDeque::new(),
            lingering: Lingering::new(shape.end_key),
            watch: Watch::new()?,
            memory,
            last_memory: None,
            names,
            quota,
            buf: vec![0; shape.max_chunk],
        })
    }

    /// Readiness of the host side.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Wakes whoever polls [`Watch::root`].
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.watch.waker()
    }

    /// Starts over for a new driver: every VFD of the old one is gone.
    pub fn reset(&mut self) {
        for (_, vfd) in std::mem::take(&mut self.vfds) {
            if let Remains::Memory(block) = vfd.detach(&mut self.watch) {
                self.memory.release(block);
            }
        }
        self.ready.clear();
        self.orphans.clear();
        self.lingering.clear(&mut self.watch);
        self.memory.clear();
        self.last_memory = None;
        self.next_key = self.shape.first_key;
        self.watch.set_reading(true);
    }

    // ---- requests of the guest -------------------------------------------

    /// Creates shared memory of at least `size` bytes.
    ///
    /// # Errors
    /// [`SessionError::Id`], [`SessionError::Memory`], [`SessionError::Quota`].
    pub fn new_memory(&mut self, key: Key, size: u64) -> Result<Announced, SessionError> {
        let charge = self.admit(key)?;
        let block = self.memory.allocate(size)?;
        Ok(self.insert(key, Body::Memory(block), charge))
    }

    /// Opens a named context.
    ///
    /// # Errors
    /// [`SessionError::Id`], [`SessionError::Unnamed`], [`SessionError::Host`],
    /// [`SessionError::Quota`].
    pub fn connect(&mut self, key: Key, name: &str) -> Result<Announced, SessionError> {
        let charge = self.admit(key)?;
        let socket = match self.names.open(name).ok_or(SessionError::Unnamed)? {
            Target::Connect(path) => connect_now(&path)?,
            Target::Connected(socket) => socket,
        };
        let stream = Stream::connected(socket, self.socket_queue());
        let announced = self.insert(key, Body::Stream(stream), charge);
        if let Some(vfd) = self.vfds.get_mut(&key) {
            vfd.name = Some(name.into());
        }
        self.start_reading(key);
        Ok(announced)
    }

    /// Creates a pipe: the guest has one end, and passes the other on by
    /// attaching this VFD to a message.
    ///
    /// # Errors
    /// [`SessionError::Id`], [`SessionError::Host`], [`SessionError::Quota`].
    pub fn new_pipe(&mut self, key: Key, guest_reads: bool) -> Result<Announced, SessionError> {
        let charge = self.admit(key)?;
        let stream = Stream::pipe(guest_reads, self.pipe_queue())?;
        let announced = self.insert(key, Body::Stream(stream), charge);
        self.start_reading(key);
        Ok(announced)
    }

    /// Sends bytes and VFDs: all of them, or nothing.
    ///
    /// Success does not mean that the peer has read anything: what it does not
    /// take now is queued here.
    ///
    /// # Errors
    /// [`SessionError::Id`] for an unknown VFD anywhere, [`SessionError::Type`]
    /// when one cannot be used so, [`SessionError::Host`] when the peer is gone
    /// or was dropped because it does not read.
    pub fn send(&mut self, key: Key, bytes: &[u8], attach: &[Key]) -> Result<(), SessionError> {
        let target = self.vfds.get(&key).ok_or(SessionError::Id)?;
        for (i, other) in attach.iter().enumerate() {
            let vfd = self.vfds.get(other).ok_or(SessionError::Id)?;
            // The far end of a pipe exists once.
            let again = attach[..i].contains(other) && vfd.forwards_once();
            if !vfd.can_forward() || again {
                return Err(SessionError::Type);
            }
        }
        let Body::Stream(stream) = &target.body else {
            return Err(SessionError::Type);
        };
        let pipe = stream.kind() != StreamKind::Socket;
        if !stream.writable() || (pipe && !attach.is_empty()) {
            return Err(SessionError::Type);
        }
        if bytes.is_empty() {
            // A stream cannot carry descriptors without a byte to hold them.
            return if attach.is_empty() {
                Ok(())
            } else {
                Err(SessionError::Type)
            };
        }
        let fds = attach.iter().filter_map(|key| self.forward(*key)).collect();
        self.make_room(key, bytes.len());
        let vfd = self.vfds.get_mut(&key).ok_or(SessionError::Id)?;
        let result = vfd.send(key, bytes, fds, &mut self.watch);
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::QuotaExceeded
        {
            tracing::warn!(vfd = key, "peer does not read: connection dropped");
            vfd.cut_off(&mut self.watch);
            vfd.enqueue(key, &mut self.ready);
        }
        Ok(result?)
    }

    /// Looks how large a memory VFD has become.
    ///
    /// # Errors
    /// [`SessionError::Id`], [`SessionError::Type`] for a VFD without memory,
    /// [`SessionError::Memory`] when what it has grown by cannot be shown.
    pub fn refresh(&mut self, key: Key) -> Result<Announced, SessionError> {
        let vfd = self.vfds.get_mut(&key).ok_or(SessionError::Id)?;
        let Body::Memory(block) = &mut vfd.body else {
            return Err(SessionError::Type);
        };
        self.memory.refresh(block)?;
        Ok(vfd.announced())
    }

    /// Whether the guest may be told of a VFD: its memory, if it has any, is there.
    #[must_use]
    pub fn is_visible(&self, key: Key) -> bool {
        match self.vfds.get(&key).map(|vfd| &vfd.body) {
            Some(Body::Memory(block)) => self.memory.is_visible(block),
            _ => true,
        }
    }

    /// Bytes sent to a VFD that its peer has not taken; none when there is no such VFD.
    #[must_use]
    pub fn unsent(&self, key: Key) -> usize {
        self.vfds.get(&key).map_or(0, Vfd::queued)
    }

    /// Forgets a VFD.
    ///
    /// # Errors
    /// [`SessionError::Id`].
    pub fn close(&mut self, key: Key) -> Result<(), SessionError> {
        if let Some(at) = self.orphans.iter().position(|orphan| *orphan == key) {
            self.orphans.remove(at);
            return Ok(());
        }
        let vfd = self.vfds.remove(&key).ok_or(SessionError::Id)?;
        if vfd.in_ready {
            self.ready.retain(|other| *other != key);
        }
        match vfd.detach(&mut self.watch) {
            Remains::Memory(block) => {
                self.memory.release(block);
                self.last_memory = Some(key);
            }
            Remains::Unsent(stream, charge) => {
                self.lingering.add(stream, charge, &mut self.watch);
            }
            Remains::Nothing => {}
        }
        Ok(())
    }

    /// Whether this was the last memory of all that was closed, and mappings are left to be ended.
    #[must_use]
    pub fn is_leaving(&self, key: Key) -> bool {
        self.last_memory == Some(key) && self.memory.is_leaving()
    }

    /// Does some of what is left to do for VFDs that are closed, or only what is urgent of it
    /// when there is no `time`. True: there is more.
    pub fn tidy(&mut self, time: bool) -> bool {
        self.memory.reap(time)
    }

    // ---- what the host side does -----------------------------------------

    /// Collects what has become ready and sends what waits. Never blocks.
    pub fn poll(&mut self) {
        let (vfds, ready) = (&mut self.vfds, &mut self.ready);
        self.watch.readers(|key| {
            if let Some(vfd) = vfds.get_mut(&key) {
                vfd.enqueue(key, ready);
            }
        });
        let mut writable = Vec::new();
        self.watch.writers(|key| writable.push(key));
        for key in writable {
            if self.lingering.flush(key, &mut self.watch) {
                continue;
            }
            if let Some(vfd) = self.vfds.get_mut(&key) {
                vfd.flush(&mut self.watch);
            }
        }
    }

    /// Whether [`Session::next_inbound`] may have something.
    #[must_use]
    pub fn has_inbound(&self) -> bool {
        !self.ready.is_empty() || !self.orphans.is_empty()
    }

    /// The next thing to tell the guest: one message of one VFD, then the next
    /// VFD's turn. A VFD for which `may_send` says no is not read until
    /// [`Session::resume`].
    pub fn next_inbound(&mut self, mut may_send: impl FnMut(Key) -> bool) -> Option<Inbound> {
        if let Some(key) = self.orphans.pop_front() {
            return Some(Inbound::HangUp { key });
        }
        while let Some(key) = self.ready.pop_front() {
            let Some(vfd) = self.vfds.get_mut(&key) else {
                continue;
            };
            vfd.in_ready = false;
            match vfd.hang_up {
                HangUp::Pending => {
                    vfd.hang_up = HangUp::Reported;
                    return Some(Inbound::HangUp { key });
                }
                HangUp::Reported => continue,
                HangUp::No => {}
            }
            let stream = match &mut vfd.body {
                Body::Stream(stream) if stream.readable() => stream,
                // A fence that became readable, or a write end whose reader left.
                Body::Stream(_) | Body::Fence(_) => {
                    self.hang_up(key);
                    continue;
                }
                Body::Memory(_) | Body::Dead(_) => continue,
            };
            if !may_send(key) {
                vfd.pause(&self.watch);
                continue;
            }
            match stream.read(&mut self.buf) {
                Input::Data(len, fds) => {
                    vfd.traffic.count_in(len, fds.len());
                    // A full buffer: probably there is more, after the others' turn.
                    if len == self.buf.len() {
                        vfd.enqueue(key, &mut self.ready);
                    }
                    let bytes = self.buf[..len].to_vec();
                    let attached = fds.into_iter().map(|fd| self.adopt(fd)).collect();
                    return Some(Inbound::Data {
                        key,
                        bytes,
                        attached,
                    });
                }
                Input::Empty => {}
                Input::End => self.hang_up(key),
            }
        }
        None
    }

    /// Reads a VFD again that [`Session::next_inbound`] had to leave aside.
    pub fn resume(&mut self, key: Key) {
        if let Some(vfd) = self.vfds.get_mut(&key) {
            vfd.resume(key, &self.watch);
        }
    }

    /// Whether the guest can receive from this VFD.
    #[must_use]
    pub fn is_readable(&self, key: Key) -> bool {
        self.vfds.get(&key).is_some_and(Vfd::is_readable)
    }

    /// Starts reading a received stream. Until then it can be passed on without
    /// loss; the personality calls this once the guest has had the chance.
    pub fn start_reading(&mut self, key: Key) {
        if let Some(vfd) = self.vfds.get_mut(&key)
            && let Err(error) = vfd.watch(key, &self.watch)
        {
            tracing::warn!(vfd = key, %error, "cannot watch");
            self.hang_up(key);
        }
    }

    /// Cuts off reading from all host peers, or takes it up again.
    pub fn set_reading(&mut self, on: bool) {
        self.watch.set_reading(on);
    }

    /// All VFDs with their counters, in no order.
    pub fn report(&self) -> impl Iterator<Item = VfdReport> + '_ {
        self.vfds.iter().map(|(key, vfd)| vfd.report(*key))
    }

    /// Bytes and number of live mappings.
    #[must_use]
    pub fn mapped(&self) -> (u64, u64) {
        self.memory.mapped()
    }

    /// Number of VFDs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.vfds.len()
    }

    /// Whether there is no VFD.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vfds.is_empty()
    }

    // ---- inside ------------------------------------------------------------

    fn admit(&self, key: Key) -> Result<Charge, SessionError> {
        if self.vfds.contains_key(&key) {
            return Err(SessionError::Id);
        }
        Ok(self.quota.charge(Resource::Vfds, 1)?)
    }

    fn insert(&mut self, key: Key, body: Body, charge: Charge) -> Announced {
        let vfd = Vfd::new(body, charge);
        let announced = vfd.announced();
        self.vfds.insert(key, vfd);
        announced
    }

    fn socket_queue(&self) -> OutQueue {
        OutQueue::new(self.shape.max_socket_queue, Arc::clone(&self.quota))
    }

    fn pipe_queue(&self) -> OutQueue {
        OutQueue::new(self.shape.max_pipe_queue, Arc::clone(&self.quota))
    }

    /// When the virtual machine's queues are full, the longest pays, not whoever
    /// comes next: a few peers that do not read must not cost the others theirs.
    fn make_room(&mut self, key: Key, bytes: usize) {
        while self.quota.left(Resource::Queued) < bytes as u64 {
            if self.lingering.evict(&mut self.watch) {
                continue;
            }
            let own = self.vfds.get(&key).map_or(0, Vfd::queued) + bytes;
            let others = self.vfds.iter().filter(|(other, _)| **other != key);
            let longest = others.map(|(other, vfd)| (vfd.queued(), *other)).max();
            let Some((longest, other)) = longest else {
                break;
            };
            if longest < own {
                break;
            }
            tracing::warn!(
                vfd = other,
                "peer does not read and queues are full: connection dropped"
            );
            if let Some(vfd) = self.vfds.get_mut(&other) {
                vfd.cut_off(&mut self.watch);
                vfd.enqueue(other, &mut self.ready);
            }
        }
    }

    fn forward(&mut self, key: Key) -> Option<Arc<OwnedFd>> {
        let vfd = self.vfds.get_mut(&key)?;
        let fd = vfd.forward();
        // A stream passed on is somebody else's to read.
        if let Body::Stream(stream) = &vfd.body
            && !stream.readable()
            && stream.kind()
                != (StreamKind::Pipe {
                    read: false,
                    write: true,
                })
        {
            vfd.unwatch(&self.watch);
        }
        fd
    }

    fn hang_up(&mut self, key: Key) {
        if let Some(vfd) = self.vfds.get_mut(&key) {
            vfd.end(&self.watch);
            vfd.enqueue(key, &mut self.ready);
        }
    }

    /// Panics if the session contradicts itself. For tests.
    #[cfg(any(test, feature = "test-util"))]
    pub fn verify_invariants(&self) {
        for key in &self.ready {
            assert!(
                self.vfds[key].in_ready,
                "{key:#x} is in the round without knowing"
            );
        }
        let rounds = self.vfds.values().filter(|vfd| vfd.in_ready).count();
        assert_eq!(
            rounds,
            self.ready.len(),
            "a vfd is in the round twice, or lost"
        );
        let writing = self.vfds.values().filter(|vfd| vfd.is_writing()).count();
        assert_eq!(writing + self.lingering.len(), self.watch.writers_watched());
        for (key, vfd) in &self.vfds {
            vfd.verify_invariants(*key);
        }
        let queued: usize = self.vfds.values().map(Vfd::queued).sum();
        let queued = (queued + self.lingering.queued()) as u64;
        assert_eq!(queued, self.quota.used(Resource::Queued));
        let vfds = (self.vfds.len() + self.lingering.len()) as u64;
        assert_eq!(vfds, self.quota.used(Resource::Vfds));
        self.memory.verify_invariants();
    }
}
