//! A guest and its host peers, driven by a list of operations (feature `test-util`).
//!
//! The device is the real one, with real virtqueues in a piece of memory and real
//! sockets and pipes as peers; only the vhost-user connection is missing. After each
//! operation everything that must always hold is checked, so any list of operations is
//! a test: random ones in this crate's tests, cleverly chosen ones under a fuzzer.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};

use virtio_wl::limits::{HOST_ID_BIT, ILLEGAL_ID_BIT, MAX_CHUNK, NUM_QUEUES};
use virtio_wl::wire::{Event, Features, Response};

use crate::core::account::MemoryAccount;
use crate::core::memory::{ForeignMemory, MemoryPort, MemoryStore};
use crate::core::names::NameTable;
use crate::core::quota::{Limits, Quota};
use crate::core::session::{Session, Shape};
use crate::virtio::counters::QueueCounters;
use crate::virtio::device::{Device, Turn};
use crate::virtio::ring::Stops;

mod guest;
mod ops;
mod peers;
#[cfg(test)]
mod tests;

use guest::Guest;
pub use ops::{Op, PeerFd};
use peers::{Peers, pattern};

/// Turns after which the device must have become idle: no operation gives it more
/// work than that.
const MAX_TURNS: usize = 64;

/// Queue bounds small enough to be reached.
const SOCKET_QUEUE: usize = 64 * 1024;
const PIPE_QUEUE: usize = 128 * 1024;

/// Records what the device maps, and refuses now and then.
#[derive(Debug, Default)]
struct Port {
    maps: Mutex<BTreeMap<u64, u64>>,
    refuse: Mutex<bool>,
}

impl MemoryPort for Port {
    fn map(&self, _fd: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
        if std::mem::take(&mut *self.refuse.lock().expect("no panics here")) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let mut maps = self.maps.lock().expect("no panics here");
        let before = maps.range(..offset + len).next_back();
        assert!(
            before.is_none_or(|(o, l)| o + l <= offset),
            "mappings overlap"
        );
        maps.insert(offset, len);
        Ok(())
    }

    fn unmap(&self, offset: u64, len: u64) -> io::Result<()> {
        let removed = self.maps.lock().expect("no panics here").remove(&offset);
        assert_eq!(removed, Some(len), "unmap of what is not mapped");
        Ok(())
    }
}

/// Carries out the operations that `bytes` stand for: the first byte chooses the
/// features, the rest are operations.
pub fn run(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    let mut features = Features::TRANS_FLAGS | Features::USE_SHMEM | Features::REFRESH;
    features.set(Features::SEND_FENCES, choice & 1 != 0);
    features.set(Features::CREDIT, choice & 2 != 0);
    let mut world = World::new(features);
    for op in Op::decode(rest) {
        world.apply(&op);
    }
}

/// What the guest knows of a VFD.
#[derive(Debug, Default)]
struct Known {
    hung_up: bool,
    /// The peer whose bytes come from it, and how many have come.
    source: Option<(usize, u64)>,
    /// Bytes of its memory, if it has any.
    size: Option<u32>,
}

/// Device, guest and peers.
#[derive(Debug)]
pub struct World {
    device: Device,
    guest: Guest,
    peers: Peers,
    names: Arc<NameTable>,
    port: Arc<Port>,
    known: BTreeMap<u32, Known>,
    /// Announced in a VFD_NEW, not yet named in a RECV.
    announced: Vec<u32>,
    /// A VFD was closed since the last message with data.
    closed: bool,
    features: Features,
    /// Hostile bytes were sent: what the guest believes may be wrong.
    wild: bool,
}

impl World {
    /// A device that has just been set up.
    #[must_use]
    pub fn new(features: Features) -> Self {
        let limits = Limits {
            vfds: 64,
            queued: 256 * 1024,
        };
        let quota = Quota::new(limits);
        let port = Arc::new(Port::default());
        let account = Arc::new(MemoryAccount::new(1 << 20).expect("inotify"));
        let memory = MemoryStore::new(
            4 << 20,
            Arc::clone(&port) as Arc<dyn MemoryPort>,
            None,
            account,
            ForeignMemory::Copy,
        );
        let names = Arc::new(NameTable::new());
        let shape = Shape {
            max_chunk: MAX_CHUNK,
            first_key: HOST_ID_BIT,
            end_key: ILLEGAL_ID_BIT,
            max_socket_queue: SOCKET_QUEUE,
            max_pipe_queue: PIPE_QUEUE,
        };
        let session = Session::new(shape, memory, Arc::clone(&names), quota).expect("descriptors");
        let counters: Arc<[QueueCounters; NUM_QUEUES]> = Arc::default();
        let mut device = Device::new(session, counters);
        device.set_features(features);
        World {
            device,
            guest: Guest::new(),
            peers: Peers::default(),
            names,
            port,
            known: BTreeMap::new(),
            announced: Vec::new(),
            closed: false,
            features,
            wild: false,
        }
    }

    /// Does one thing, lets the device react, and checks everything.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Connect { id } => {
                let (peer, socket) = self.peers.connect();
                if self.names.add_connected("peer", socket).is_ok() {
                    let response = self.request(&ops::connect(*id));
                    // Not consumed when the id was taken.
                    let _ = self.names.remove("peer");
                    self.created(*id, response, Some(peer));
                }
            }
            Op::NewMemory { id, size } => {
                let response = self.request(&ops::new_memory(*id, *size));
                self.created(*id, response, None);
            }
            Op::NewPipe { id, read } => {
                let response = self.request(&ops::new_pipe(*id, *read));
                self.created(*id, response, None);
            }
            Op::Send { id, attach, len } => {
                let attach = self.resolve(attach);
                let id = self.resolve(&[*id]);
                let response = self.request(&ops::send(id[0], &attach, usize::from(*len)));
                self.answered(response);
            }
            Op::Close { id } => {
                let id = self.resolve(&[*id])[0];
                let response = self.request(&ops::close(id));
                if response == Some(Response::Ok) {
                    self.closed = true;
                    self.known.remove(&id);
                }
            }
            Op::Credit { id, units } => {
                let id = self.resolve(&[*id])[0];
                let response = self.request(&ops::credit(id, *units));
                self.answered(response);
            }
            Op::Refresh { id } => {
                let id = self.resolve(&[*id])[0];
                let response = self.request(&ops::refresh(id));
                self.refreshed(id, response);
            }
            Op::PeerGrow { by } => self.peers.grow(*by),
            Op::Raw(bytes) => {
                self.wild = true;
                self.request(bytes);
            }
            Op::Chain(descriptors) => {
                self.wild = true;
                self.guest.post_chain(descriptors);
                self.settle();
                self.guest.take_answers();
            }
            Op::PeerSend { peer, len, fds } => {
                self.peers.send(usize::from(*peer), usize::from(*len), fds);
            }
            Op::PeerReceive { peer } => self.peers.receive(usize::from(*peer)),
            Op::PeerLeave { peer } => self.peers.leave(usize::from(*peer)),
            Op::GiveBack { count } => self.guest.give_back(usize::from(*count)),
            Op::RefuseMap => *self.port.refuse.lock().expect("no panics here") = true,
            Op::Restart => {
                self.guest.restart();
                self.device.rings_restarted(self.guest.vrings());
                self.known.clear();
                self.announced.clear();
            }
        }
        self.settle();
        self.verify();
    }

    /// Takes the device to where it has nothing to do, and reads what it says.
    fn settle(&mut self) {
        for _ in 0..MAX_TURNS {
            let (mem, vrings) = (self.guest.memory(), self.guest.vrings());
            let turn = self.device.turn(mem, vrings, (&Stops::default(), 0), true);
            let messages = self.guest.receive();
            let nothing = messages.is_empty();
            for message in messages {
                self.hear(&message);
            }
            if turn == Turn::Idle && nothing {
                return;
            }
        }
        panic!("the device does not come to rest");
    }

    fn request(&mut self, bytes: &[u8]) -> Option<Response> {
        self.guest.post(bytes);
        self.settle();
        let mut answers = self.guest.take_answers();
        if self.guest.is_broken() {
            return None;
        }
        assert_eq!(answers.len(), 1, "one answer per request");
        let answer = answers.remove(0);
        Some(Response::parse(&answer, self.features).expect("an answer the guest understands"))
    }

    fn created(&mut self, id: u32, response: Option<Response>, peer: Option<usize>) {
        if let Some(Response::VfdNew(info)) = response {
            assert_eq!(info.id.get(), id);
            let source = peer.map(|peer| (peer, 0));
            let known = Known {
                hung_up: false,
                source,
                size: info.memory.map(|memory| memory.size),
            };
            let old = self.known.insert(id, known);
            assert!(old.is_none() || self.wild, "{id:#x} was created twice");
        }
    }

    fn refreshed(&mut self, id: u32, response: Option<Response>) {
        let Some(Response::VfdNew(info)) = response else {
            return;
        };
        assert_eq!(info.id.get(), id);
        let size = info.memory.expect("memory").size;
        if let Some(known) = self.known.get_mut(&id) {
            let before = known.size.replace(size);
            assert!(before <= Some(size) || self.wild, "memory became smaller");
        }
    }

    fn answered(&self, response: Option<Response>) {
        assert!(!matches!(response, Some(Response::VfdNew(_))));
    }

    /// One message of the device.
    fn hear(&mut self, message: &[u8]) {
        match Event::parse(message, self.features).expect("a message the guest understands") {
            Event::VfdNew(info) => {
                let id = info.id.get();
                assert!(
                    !self.known.contains_key(&id) || self.wild,
                    "{id:#x} is in use"
                );
                let known = Known {
                    size: info.memory.map(|memory| memory.size),
                    ..Known::default()
                };
                self.known.insert(id, known);
                self.announced.push(id);
            }
            Event::Recv { id, vfds, data } => {
                assert!(!data.is_empty(), "descriptors without data");
                let named: Vec<u32> = vfds.iter().map(|id| id.get()).collect();
                let announced = std::mem::take(&mut self.announced);
                // What was announced for a VFD that was closed since is never named.
                let last = announced.ends_with(&named);
                assert!(
                    last,
                    "{named:x?} after {announced:x?}: not what was announced"
                );
                let all = named.len() == announced.len();
                let closed = std::mem::take(&mut self.closed);
                assert!(
                    all || closed || self.wild,
                    "something announced was not named"
                );
                let Some(known) = self.known.get_mut(&id.get()) else {
                    assert!(self.wild, "data of a vfd that does not exist");
                    return;
                };
                assert!(!known.hung_up || self.wild, "data after the end");
                if let Some((peer, count)) = &mut known.source
                    && !self.wild
                {
                    let expected = pattern(*peer, *count);
                    assert!(
                        data.iter().copied().eq(expected.take(data.len())),
                        "other bytes"
                    );
                    *count += data.len() as u64;
                }
            }
            Event::Hup { id } => {
                let known = self.known.get_mut(&id.get());
                let fresh = known.is_some_and(|known| !std::mem::replace(&mut known.hung_up, true));
                assert!(fresh || self.wild, "{id} hung up twice, or never existed");
            }
        }
    }

    /// Ids from an operation: small numbers also stand for received VFDs, which
    /// nobody could guess otherwise.
    fn resolve(&self, ids: &[u32]) -> Vec<u32> {
        let received: Vec<u32> = self
            .known
            .keys()
            .copied()
            .filter(|id| *id >= HOST_ID_BIT)
            .collect();
        ids.iter()
            .map(|id| match id.checked_sub(ops::RECEIVED) {
                Some(n) if !received.is_empty() => received[n as usize % received.len()],
                _ => *id,
            })
            .collect()
    }

    fn verify(&self) {
        let session = self.device.session();
        session.verify_invariants();
        let (bytes, count) = session.mapped();
        let maps = self.port.maps.lock().expect("no panics here");
        assert_eq!(
            (maps.values().sum::<u64>(), maps.len() as u64),
            (bytes, count)
        );
        if !self.wild {
            let real: BTreeSet<u32> = session.report().map(|vfd| vfd.key).collect();
            let unknown: Vec<_> = real
                .iter()
                .filter(|id| !self.known.contains_key(id))
                .collect();
            // What is announced in a message that no buffer was free for.
            assert!(unknown.len() <= 28, "the guest does not know {unknown:x?}");
        }
    }
}
