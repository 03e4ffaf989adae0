//! Everything that the driver's lock protects: the queues, and what the messages on them mean.
//!
//! Nothing here blocks. [`State::pump`] is the heart: it takes what the device has finished and
//! sent, and may be called at any time by anybody.

use std::{
    collections::{HashMap, VecDeque},
    os::unix::net::UnixStream,
    sync::Arc,
};

use nix::sys::eventfd::EventFd;

use super::{
    identity::Identities,
    ids::GuestIds,
    inbound::{Buffer, Inbound, InboundFault},
    lending::Lending,
    outbound::{Finished, Outbound, OutboundFault, Purpose},
    poller::{Poller, Source, signal},
    session::Session,
    shmem::{Mappings, RequestChannel},
    token::FileId,
    vfd::{SharedMemory, Stream, Vfd},
};
use crate::{
    driver::DriverStats,
    limits::{IN_BUFFER_SIZE, INITIAL_CREDIT, QUEUE_SIZE},
    wire::{Event, Features, ParseError, Request, Response, VfdId, VfdInfo, VfdKind},
};

/// Messages taken from the device in one go. More are left for the next call, so that a busy device
/// cannot keep a caller for ever.
const MESSAGES_PER_PUMP: usize = QUEUE_SIZE as usize;

/// Bytes a stream may hold before its further `in` buffers are kept from a device that knows no
/// credit. What one stream can hold is this and all the buffers there are.
const HOLD_ABOVE: usize = INITIAL_CREDIT as usize;

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
    /// A caller that does not wait was turned away for want of room.
    room_wanted: bool,
    /// Something happened that a waiting thread may wait for.
    pub(super) progress: bool,
    pub(super) poller: Arc<Poller>,
    pub(super) lending: Lending,
    mappings: Mappings,
    requests: Option<RequestChannel>,
    /// Replies that their requesters have not taken yet.
    pub(super) replies: HashMap<VfdId, Response>,
    /// Requests of our own that found no slot.
    deferred: VecDeque<(Request<'static>, Purpose)>,
    /// Streams whose handle may have to change.
    dirty: Vec<VfdId>,
    /// Closed VFDs that the device may have sent messages of, which are still on the `in` queue.
    closed: Vec<VfdId>,
    kick_in: EventFd,
    kick_out: EventFd,
    main: UnixStream,
}

/// The device broke the rules.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Inbound(#[from] InboundFault),
    #[error(transparent)]
    Outbound(#[from] OutboundFault),
    #[error("malformed message")]
    Message(#[source] ParseError),
    #[error("malformed reply")]
    Reply(#[source] ParseError),
    #[error("VFD {0} announced twice")]
    Duplicate(VfdId),
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
            room_wanted: false,
            progress: false,
            poller: Arc::clone(&poller),
            lending: session.lending,
            mappings: Mappings::default(),
            requests: Some(session.requests),
            replies: HashMap::new(),
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

    /// Takes everything the device has finished and sent, and asks for an interrupt for the next.
    pub(super) fn pump(&mut self) {
        if self.dead {
            return;
        }
        if let Err(fault) = self.take_all() {
            tracing::error!(
                error = &fault as &dyn std::error::Error,
                "the device broke the rules; disconnecting"
            );
            self.die();
        }
    }

    fn take_all(&mut self) -> Result<(), Fault> {
        let mut message = [0; IN_BUFFER_SIZE];
        let mut budget = MESSAGES_PER_PUMP;
        loop {
            while let Some(finished) = self.outbound.reap()? {
                self.finish(&finished)?;
            }
            while budget > 0
                && let Some((buffer, len)) = self.inbound.next(&mut message)?
            {
                budget -= 1;
                // The device answers a creation before it sends a message on what it created, but
                // that may have been after the replies were taken above.
                while let Some(finished) = self.outbound.reap()? {
                    self.finish(&finished)?;
                }
                self.receive(buffer, &message[..len])?;
            }
            if budget > 0 {
                // The device sent nothing about these after it finished closing them, and all that
                // it sent before has been taken now.
                for id in self.closed.drain(..) {
                    self.ids.free(id);
                }
            }
            self.post_deferred();
            let wanted = self.out_waiters > 0 || self.room_wanted;
            let finished = wanted && self.outbound.arm();
            if !self.inbound.arm() && !finished {
                return Ok(());
            }
            if budget == 0 {
                self.poller.interrupt_self();
                return Ok(());
            }
        }
    }

    /// Acts on the reply to a request.
    fn finish(&mut self, finished: &Finished) -> Result<(), Fault> {
        let response = Response::parse(finished.reply(), self.features).map_err(Fault::Reply)?;
        let errno = response.errno();
        self.progress = true;
        match finished.purpose {
            Purpose::Create(id) => {
                // At once: messages for it are taken before its requester runs.
                if let Response::VfdNew(info) = &response
                    && info.id == id
                    && let Some(vfd) = self.adopt(info)
                {
                    self.vfds.insert(id, vfd);
                }
                self.replies.insert(id, response);
            }
            Purpose::Send(id) => {
                if let Some(Vfd::Stream(stream)) = self.vfds.get_mut(&id) {
                    stream.in_flight -= 1;
                    if errno.is_some() && !stream.broken {
                        tracing::debug!(%id, ?response, "a message could not be delivered");
                        stream.broken = true;
                    }
                }
            }
            Purpose::Close(id) => {
                if errno.is_some() {
                    tracing::error!(%id, ?response, "cannot close a VFD");
                }
                self.closed.push(id);
            }
            // The VFD may have gone meanwhile.
            Purpose::Credit(_) if response == Response::InvalidId => {}
            Purpose::Credit(id) => {
                if errno.is_some() {
                    tracing::error!(%id, ?response, "cannot give credit");
                }
            }
        }
        Ok(())
    }

    /// Acts on a message of the device.
    fn receive(&mut self, buffer: Buffer, message: &[u8]) -> Result<(), Fault> {
        self.stats.messages += 1;
        self.progress = true;
        match Event::parse(message, self.features).map_err(Fault::Message)? {
            Event::VfdNew(info) => {
                self.inbound.give_back(buffer);
                self.announce(info)
            }
            Event::Recv { id, vfds, data } => {
                self.deliver(id, &vfds, data, buffer);
                Ok(())
            }
            Event::Hup { id } => {
                self.inbound.give_back(buffer);
                if let Some(Vfd::Stream(stream)) = self.vfds.get_mut(&id) {
                    stream.hung_up = true;
                    self.touch(id);
                }
                Ok(())
            }
        }
    }

    fn announce(&mut self, info: VfdInfo) -> Result<(), Fault> {
        let vfd = self.adopt(&info).unwrap_or_else(|| {
            tracing::error!(id = %info.id, "the device announced memory that it did not map");
            Vfd::Stream(Stream::dead())
        });
        match self.vfds.insert(info.id, vfd) {
            None => Ok(()),
            Some(_) => Err(Fault::Duplicate(info.id)),
        }
    }

    /// What the device describes; `None` when it is memory that is not mapped.
    pub(super) fn adopt(&self, info: &VfdInfo) -> Option<Vfd> {
        let Some(range) = info.memory else {
            return Some(Vfd::Stream(match info.kind(self.features) {
                VfdKind::Pipe {
                    read: false,
                    write: false,
                } => Stream::dead(),
                kind => Stream::new(kind),
            }));
        };
        let file = self.mappings.file(range.offset(), range.size)?;
        let identity = FileId::of(&file).ok()?;
        Some(Vfd::Memory(SharedMemory {
            file,
            identity,
            size: range.size,
        }))
    }

    fn deliver(&mut self, id: VfdId, vfds: &[VfdId], data: &[u8], buffer: Buffer) {
        let known = vfds.iter().copied().filter(|vfd| {
            let known = self.vfds.contains_key(vfd);
            if !known {
                tracing::error!(%vfd, "the device sent a VFD that it did not announce");
            }
            known
        });
        let known: Vec<_> = known.collect();
        let Some(Vfd::Stream(stream)) = self.vfds.get_mut(&id) else {
            // Closed while the message was under way.
            self.inbound.give_back(buffer);
            for vfd in known {
                self.close(vfd);
            }
            return;
        };
        stream.inbox.push(&known, data);
        if self.features.contains(Features::CREDIT) || stream.inbox.len() <= HOLD_ABOVE {
            self.inbound.give_back(buffer);
        } else {
            stream.inbox.hold(buffer);
        }
        self.touch(id);
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
            if !stream.inbox.is_empty() || over && stream.kind == VfdKind::Fence {
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

    fn post_deferred(&mut self) {
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
    fn die(&mut self) {
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

    /// Notes whether a caller was turned away for want of room, and so hopes to hear of finished
    /// requests.
    pub(super) fn want_room(&mut self, want: bool) {
        self.room_wanted = want;
        if want && self.outbound.arm() {
            self.poller.interrupt_self();
        }
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
