//! Everything that the driver's lock protects: the queues, the VFDs, and who waits.
//!
//! Nothing here blocks. What the device says is in [`super::traffic`], what users call in
//! [`super::transfer`].

use std::{
    collections::{HashMap, VecDeque},
    os::unix::net::UnixStream,
    sync::Arc,
};

use nix::sys::eventfd::EventFd;

use super::{
    identity::Identities,
    ids::GuestIds,
    inbound::Inbound,
    lending::Lending,
    outbound::{Outbound, Purpose},
    poller::{Poller, Source, signal},
    refresh::Refreshes,
    session::Session,
    shmem::{Mappings, RequestChannel},
    vfd::Vfd,
};
use crate::{
    driver::DriverStats,
    wire::{Features, Request, Response, VfdId, VfdKind},
};

/// What the lock protects.
#[derive(Debug)]
pub(super) struct State {
    pub(super) features: Features,
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
    pub(super) vfds: HashMap<VfdId, Vfd>,
    pub(super) identities: Identities,
    pub(super) ids: GuestIds,
    pub(super) stats: DriverStats,
    /// The device is gone, or broke the rules. Never taken back.
    pub(super) dead: bool,
    /// A thread waits for events; the others wait for it.
    pub(super) led: bool,
    /// Threads that wait for the leader.
    pub(super) followers: usize,
    /// Callers that want to hear of finished requests.
    pub(super) out_waiters: usize,
    /// Streams whose senders do not wait and were turned away for want of room.
    pub(super) blocked: Vec<VfdId>,
    /// Something happened that a waiting thread may wait for.
    pub(super) progress: bool,
    pub(super) poller: Arc<Poller>,
    pub(super) lending: Lending,
    pub(super) mappings: Mappings,
    requests: Option<RequestChannel>,
    /// Replies that their requesters have not taken yet.
    pub(super) replies: HashMap<VfdId, Response>,
    pub(super) refreshes: Refreshes,
    /// Requests of our own that found no slot.
    deferred: VecDeque<(Request<'static>, Purpose)>,
    /// Streams whose handle may have to change.
    dirty: Vec<VfdId>,
    /// Closed VFDs that the device may have sent messages of, which are still on the `in` queue.
    pub(super) closed: Vec<VfdId>,
    kick_in: EventFd,
    kick_out: EventFd,
    main: UnixStream,
}

impl State {
    /// The state of a device that was just set up.
    pub(super) fn new(session: Session) -> (Self, Arc<Poller>) {
        let poller = Arc::new(session.poller);
        let outbound = Outbound::new(Arc::clone(&session.memory));
        outbound.disarm();
        let mut state = Self {
            features: session.features,
            inbound: Inbound::new(session.memory),
            outbound,
            vfds: HashMap::new(),
            identities: Identities::default(),
            ids: GuestIds::default(),
            stats: DriverStats::default(),
            dead: false,
            led: false,
            followers: 0,
            out_waiters: 0,
            blocked: Vec::new(),
            progress: false,
            poller: Arc::clone(&poller),
            lending: session.lending,
            mappings: Mappings::default(),
            requests: Some(session.requests),
            replies: HashMap::new(),
            refreshes: Refreshes::default(),
            deferred: VecDeque::new(),
            dirty: Vec::new(),
            closed: Vec::new(),
            kick_in: session.kick_in,
            kick_out: session.kick_out,
            main: session.main,
        };
        state.pump();
        state.kick();
        (state, poller)
    }

    /// Notes that a stream's handle may have to change.
    pub(super) fn touch(&mut self, id: VfdId) {
        if let Some(Vfd::Stream(stream)) = self.vfds.get_mut(&id)
            && !std::mem::replace(&mut stream.dirty, true)
        {
            self.dirty.push(id);
        }
    }

    /// Makes the fds of all streams show what is true of the streams. Called before the lock is let
    /// go, so that a stream which fills and empties in between costs nothing.
    pub(super) fn settle(&mut self) {
        while let Some(id) = self.dirty.pop() {
            let Some(Vfd::Stream(stream)) = self.vfds.get_mut(&id) else {
                continue;
            };
            stream.dirty = false;
            let over = stream.is_over();
            let Some(handle) = &mut stream.handle else {
                continue;
            };
            let news = !stream.inbox.is_empty() || stream.may_send;
            if news || over && stream.kind == VfdKind::Fence {
                handle.pipe.raise();
            }
            if over {
                let (file, kind) = (handle.file, stream.kind);
                self.identities.end(file, id, kind);
                self.close(id);
            }
        }
    }

    /// Forgets a VFD and has the device forget it.
    pub(super) fn close(&mut self, id: VfdId) {
        let mut ids = vec![id];
        while let Some(id) = ids.pop() {
            match self.vfds.remove(&id) {
                None => continue,
                Some(Vfd::Memory(memory)) => {
                    self.identities.remove(memory.identity, id);
                    self.lending.forget(id, memory.identity);
                }
                Some(Vfd::Stream(mut stream)) => {
                    // VFDs that nobody will ask for go with the stream they came on.
                    ids.extend(stream.inbox.drain_vfds());
                    for buffer in stream.inbox.release() {
                        self.inbound.give_back(buffer);
                    }
                    if let Some(handle) = stream.handle {
                        self.poller.remove(&handle.pipe);
                        self.identities.remove(handle.file, id);
                    }
                }
            }
            self.request(Request::Close { id }, Purpose::Close(id));
        }
    }

    /// Posts a request of our own now, or when there is a slot.
    pub(super) fn request(&mut self, request: Request<'static>, purpose: Purpose) {
        if !self.dead {
            self.deferred.push_back((request, purpose));
            self.post_deferred();
        }
    }

    pub(super) fn post_deferred(&mut self) {
        let mut bytes = Vec::new();
        while let Some((request, purpose)) = self.deferred.front() {
            bytes.clear();
            request.encode(self.features, &mut bytes);
            if !self.outbound.post([bytes.as_slice()], *purpose) {
                return;
            }
            self.stats.requests += 1;
            self.deferred.pop_front();
        }
    }

    /// Acts on what the poller saw.
    pub(super) fn handle(&mut self, events: &[Source]) {
        let mut returned = self.lending.is_unsure();
        for event in events {
            match *event {
                Source::Interrupt => self.stats.interrupts += 1,
                Source::Main => {
                    if !self.dead {
                        tracing::warn!("the device is gone");
                        self.die();
                    }
                }
                Source::Requests => self.serve_requests(),
                // Meant for the thread that waits; taken by another one.
                Source::Wake if self.led => self.poller.wake(),
                Source::Wake => {}
                Source::Returned => returned = true,
                Source::Abandoned(id) => self.close_if_abandoned(id),
            }
        }
        if returned {
            self.close_returned();
        }
    }

    /// As [`close_returned`](Self::close_returned), if there is memory whose end nothing tells.
    pub(super) fn close_unwatched(&mut self) {
        if self.lending.has_unwatched() {
            self.close_returned();
        }
    }

    /// Closes memory that no user holds any more.
    pub(super) fn close_returned(&mut self) {
        for id in self.lending.returned() {
            self.close(id);
        }
        if self.lending.is_unsure() {
            self.poller.interrupt_self();
        }
    }

    fn serve_requests(&mut self) {
        let Some(requests) = &mut self.requests else {
            return;
        };
        if let Err(error) = requests.serve(&mut self.mappings) {
            // Usually the device is going, which the other socket is about to say. If not, new
            // memory fails from here on, and all else goes on.
            tracing::debug!(%error, "the device's request channel ends");
            self.poller.remove(&*requests);
            self.requests = None;
        }
    }

    /// Closes a stream if no duplicate of its fd is open. Returns whether it did.
    pub(super) fn close_if_abandoned(&mut self, id: VfdId) {
        if let Some(Vfd::Stream(stream)) = self.vfds.get(&id)
            && let Some(handle) = &stream.handle
            && handle.pipe.is_abandoned()
        {
            self.close(id);
        }
    }

    /// The device is gone: everything that waits for it ends.
    pub(super) fn die(&mut self) {
        self.dead = true;
        self.progress = true;
        self.deferred.clear();
        // Or the poller would be readable for ever.
        self.poller.remove(&self.main);
        let _ = self.main.shutdown(std::net::Shutdown::Both);
        if let Some(requests) = self.requests.take() {
            self.poller.remove(&requests);
        }
        let ids: Vec<_> = self.vfds.keys().copied().collect();
        for id in ids {
            if let Some(Vfd::Stream(stream)) = self.vfds.get_mut(&id) {
                stream.hung_up = true;
                self.touch(id);
            }
        }
    }

    /// Whether the device has something for us that was not taken yet.
    pub(super) fn has_news(&self, requests: bool) -> bool {
        self.dead || self.inbound.has_used() || requests && self.outbound.has_used()
    }

    /// Notes that a sender was turned away for want of room, and so hopes to hear of finished
    /// requests.
    pub(super) fn block(&mut self, id: VfdId) {
        if let Some(Vfd::Stream(stream)) = self.vfds.get_mut(&id)
            && !std::mem::replace(&mut stream.blocked, true)
        {
            self.blocked.push(id);
        }
        if self.outbound.arm() {
            self.poller.interrupt_self();
        }
    }

    /// Tells the senders that were turned away and would not be now.
    pub(super) fn unblock(&mut self) {
        let mut blocked = std::mem::take(&mut self.blocked);
        blocked.retain(|&id| {
            let room = self.room();
            let Some(Vfd::Stream(stream)) = self.vfds.get_mut(&id) else {
                return false;
            };
            if !stream.has_room(room) && !stream.hung_up {
                return true;
            }
            stream.blocked = false;
            stream.may_send = true;
            self.touch(id);
            false
        });
        self.blocked = blocked;
    }

    /// Notifies the device of what it was given, as far as it wants to know.
    pub(super) fn kick(&mut self) {
        if self.dead {
            return;
        }
        if self.inbound.needs_kick() {
            self.stats.kicks += 1;
            signal(&self.kick_in);
        }
        if self.outbound.needs_kick() {
            self.stats.kicks += 1;
            signal(&self.kick_out);
        }
    }
}
