//! Messages to the guest: their order, the room for them, and who neglects its share.
//!
//! A kernel driver returns a buffer only when a program has read what is in it, so
//! one VFD nobody reads could fill all buffers and stop every other. The protocol
//! has no credit; but a buffer that comes back is recognised by its address, so the
//! device knows exactly how many each VFD still holds. A VFD may hold at most as
//! many as are free: one neglected VFD stops at half of them, *n* stop at *n* parts
//! of *n* + 1, and there is always one left for the others. A driver with credit
//! says itself how much each VFD may send ([`Credit`]).

use std::collections::{HashMap, VecDeque};

use virtio_wl::limits::MAX_RESPONSE_SIZE;
use virtio_wl::wire::{Event, Features, VfdId};

use super::credit::Credit;
use super::requests::describe;
use super::ring::{Broken, Ring, writable_len, write_chain};
use crate::core::session::{Announced, Inbound, Key, Session};

/// Messages handled per turn before requests get their turn again.
const BUDGET: usize = 256;

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Nothing is left to deliver.
    Done,
    /// The budget of the turn is used up: come again.
    More,
}

/// One encoded message.
#[derive(Debug)]
struct Message {
    bytes: Vec<u8>,
    /// The VFD whose message this is, or belongs to.
    of: Key,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Announces this VFD, which data to follow will name.
    New(Key),
    /// The buffer stays with the guest until a program has read it.
    Data {
        /// What it names.
        vfds: Vec<Key>,
        /// Streams among them, which are read once the guest has seen this message.
        starts: Vec<Key>,
    },
    HangUp,
}

/// A buffer the guest has not given back.
#[derive(Debug)]
struct Held {
    address: u64,
    key: Key,
    starts: Vec<Key>,
}

/// The way to the guest.
#[derive(Debug, Default)]
pub struct Inbox {
    /// At most one host message, as several of ours.
    pending: VecDeque<Message>,
    held: VecDeque<Held>,
    holds: HashMap<Key, usize>,
    /// Not read because they hold too many buffers.
    paused: Vec<Key>,
    credit: Credit,
    /// Available entries up to here were looked at.
    scanned: u16,
}

impl Inbox {
    /// Forgets everything, for a ring that continues at `next_avail`.
    pub fn restart(&mut self, session: &mut Session, next_avail: u16) {
        // The messages a stopped ring had not delivered are still to be delivered.
        for held in std::mem::take(&mut self.held) {
            held.starts
                .iter()
                .for_each(|key| session.start_reading(*key));
        }
        self.holds.clear();
        for key in std::mem::take(&mut self.paused) {
            session.resume(key);
        }
        self.scanned = next_avail;
    }

    /// Forgets everything, for a new driver.
    pub fn reset(&mut self) {
        *self = Inbox::default();
    }

    /// Buffers `key` holds at present.
    #[must_use]
    pub fn held_by(&self, key: Key) -> usize {
        self.holds.get(&key).copied().unwrap_or(0)
    }

    /// The reader of `key` has consumed something (a driver with credit).
    pub fn grant(&mut self, session: &mut Session, key: Key, units: u32) {
        if self.credit.grant(key, units) {
            session.resume(key);
        }
    }

    /// The VFD is closed; its id may come again, and must not get what was meant for
    /// this one. With a message go the VFDs in it, which nobody will ever ask for.
    pub fn forget(&mut self, session: &mut Session, key: Key) {
        self.credit.forget(key);
        self.paused.retain(|other| *other != key);
        let all = std::mem::take(&mut self.pending).into_iter();
        let (dropped, kept): (VecDeque<_>, _) = all.partition(|message| message.of == key);
        self.pending = kept;
        for message in dropped {
            if let Kind::Data { vfds, .. } = message.kind {
                for vfd in vfds {
                    // It may have been one that never existed here.
                    let _ = session.close(vfd);
                }
            }
        }
    }

    /// Moves what is ready from the host to the guest, and notifies it.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn deliver(
        &mut self,
        session: &mut Session,
        ring: &Ring<'_>,
        features: Features,
    ) -> Result<Delivery, Broken> {
        let result = self.fill(session, ring, features);
        ring.notify()?;
        result
    }

    fn fill(
        &mut self,
        session: &mut Session,
        ring: &Ring<'_>,
        features: Features,
    ) -> Result<Delivery, Broken> {
        let mut budget = BUDGET;
        self.reclaim(session, ring)?;
        loop {
            if !self.flush(session, ring, &mut budget)? {
                if budget == 0 {
                    return Ok(Delivery::More);
                }
                if self.waits_for_memory(session) {
                    // Nothing overtakes it. Whoever makes it visible starts a turn.
                    session.set_reading(false);
                    return Ok(Delivery::Done);
                }
                // Starved. Kicks of this queue are wanted only now.
                if ring.enable_kicks()? {
                    self.reclaim(session, ring)?;
                    continue;
                }
                session.set_reading(false);
                return Ok(Delivery::Done);
            }
            let free = usize::from(ring.available()?);
            if free == 0 {
                if ring.enable_kicks()? {
                    continue;
                }
                session.set_reading(false);
                return Ok(Delivery::Done);
            }
            session.set_reading(true);
            let (holds, paused, credit) = (&self.holds, &mut self.paused, &mut self.credit);
            let inbound = session.next_inbound(|key| {
                if features.contains(Features::CREDIT) && !credit.may_send(key) {
                    return false;
                }
                let may = holds.get(&key).copied().unwrap_or(0) < free;
                if !may && !paused.contains(&key) {
                    paused.push(key);
                }
                may
            });
            match inbound {
                Some(inbound) => self.encode(inbound, features),
                None if self.waits_for_buffers() => {
                    if !ring.kick_after(self.scanned)? {
                        return Ok(Delivery::Done);
                    }
                    self.reclaim(session, ring)?;
                    if !session.has_inbound() {
                        // What was resumed shows up in the next poll.
                        return Ok(Delivery::More);
                    }
                }
                None => return Ok(Delivery::Done),
            }
        }
    }

    /// Puts pending messages into buffers. False: no buffers, or no budget, left, or the next is
    /// about memory that the guest cannot see yet.
    fn flush(
        &mut self,
        session: &Session,
        ring: &Ring<'_>,
        budget: &mut usize,
    ) -> Result<bool, Broken> {
        while let Some(message) = self.pending.front() {
            if *budget == 0 || self.waits_for_memory(session) {
                return Ok(false);
            }
            let Some(chain) = ring.pop()? else {
                return Ok(false);
            };
            *budget -= 1;
            let head = chain.head_index();
            let needed = message.bytes.len();
            let address = chain.clone().next().map(|d| d.addr().0);
            if writable_len(chain.clone(), needed) < needed {
                // Not a buffer the protocol knows; the next may be one.
                tracing::debug!("the guest posted a buffer that is too small");
                ring.push(head, 0)?;
                continue;
            }
            let written = write_chain(chain, &message.bytes);
            ring.push(head, written)?;
            if let Some(message) = self.pending.pop_front()
                && let (Kind::Data { starts, .. }, Some(address)) = (message.kind, address)
            {
                let key = message.of;
                *self.holds.entry(key).or_default() += 1;
                self.held.push_back(Held {
                    address,
                    key,
                    starts,
                });
            }
        }
        Ok(true)
    }

    fn encode(&mut self, inbound: Inbound, features: Features) {
        let mut put = |event: Event<'_>, of, kind| {
            let mut bytes = Vec::with_capacity(MAX_RESPONSE_SIZE);
            event.encode(features, &mut bytes);
            self.pending.push_back(Message { bytes, of, kind });
        };
        let (key, bytes, attached) = match inbound {
            Inbound::HangUp { key } => {
                if let Ok(id) = VfdId::new(key) {
                    put(Event::Hup { id }, key, Kind::HangUp);
                }
                return;
            }
            Inbound::Data {
                key,
                bytes,
                attached,
            } => (key, bytes, attached),
        };
        let (mut ids, mut vfds, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        for (vfd, announced) in attached {
            let Ok(id) = VfdId::host(vfd) else { continue };
            let info = describe(id, announced, features);
            put(Event::VfdNew(info), key, Kind::New(vfd));
            ids.push(id);
            vfds.push(vfd);
            if matches!(
                announced,
                Announced::Socket | Announced::Pipe { read: true, .. }
            ) {
                starts.push(vfd);
            }
        }
        if let Ok(id) = VfdId::new(key) {
            let event = Event::Recv {
                id,
                vfds: ids,
                data: &bytes,
            };
            let count = vfds.len();
            put(event, key, Kind::Data { vfds, starts });
            if features.contains(Features::CREDIT) {
                self.credit.spend(key, bytes.len(), count);
            }
        }
    }

    /// Notes which buffers the guest has given back.
    fn reclaim(&mut self, session: &mut Session, ring: &Ring<'_>) -> Result<(), Broken> {
        if self.held.is_empty() && self.paused.is_empty() {
            self.scanned = ring.next_avail().wrapping_add(ring.available()?);
            return Ok(());
        }
        let mut returned = Vec::new();
        self.scanned = ring.scan(self.scanned, |address| returned.push(address))?;
        for address in returned {
            if let Some(at) = self.held.iter().position(|held| held.address == address) {
                let held = self.held.remove(at);
                self.settle(session, held);
            }
        }
        // A driver that uses new addresses each time is not recognised by them;
        // but no driver can hold more buffers than the ring has entries less
        // those that are available, so the oldest must be back.
        let free = usize::from(ring.available()?);
        while self.held.len() + free > usize::from(ring.size()) {
            let held = self.held.pop_front();
            self.settle(session, held);
        }
        let holds = &self.holds;
        self.paused.retain(|key| {
            let still = holds.get(key).copied().unwrap_or(0) >= free;
            if !still {
                session.resume(*key);
            }
            still
        });
        Ok(())
    }

    fn settle(&mut self, session: &mut Session, held: Option<Held>) {
        let Some(held) = held else { return };
        if let Some(count) = self.holds.get_mut(&held.key) {
            *count -= 1;
            if *count == 0 {
                self.holds.remove(&held.key);
            }
        }
        held.starts
            .iter()
            .for_each(|key| session.start_reading(*key));
    }

    /// The next message announces memory that the guest cannot see yet.
    fn waits_for_memory(&self, session: &Session) -> bool {
        match self.pending.front().map(|message| &message.kind) {
            Some(Kind::New(vfd)) => !session.is_visible(*vfd),
            _ => false,
        }
    }

    /// Something goes on when the guest gives a buffer back.
    fn waits_for_buffers(&self) -> bool {
        !self.paused.is_empty() || self.held.iter().any(|held| !held.starts.is_empty())
    }
}
