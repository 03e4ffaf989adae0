//! What the device says: replies to requests, and messages of its own.
//!
//! [`State::pump`] takes all of it, and may be called at any time by anybody.

use super::{
    inbound::{Buffer, InboundFault},
    outbound::{Finished, OutboundFault, Purpose},
    state::State,
    token::FileId,
    vfd::{SharedMemory, Stream, Vfd},
};
use crate::{
    limits::{IN_BUFFER_SIZE, INITIAL_CREDIT, QUEUE_SIZE},
    wire::{Event, Features, ParseError, Response, VfdId, VfdInfo, VfdKind},
};

/// Messages taken from the device in one go. More are left for the next call, so that a busy device
/// cannot keep a caller for ever.
const MESSAGES_PER_PUMP: usize = QUEUE_SIZE as usize;

/// Bytes a stream may hold before its further `in` buffers are kept from a device that knows no
/// credit. What one stream can hold is this and all the buffers there are.
const HOLD_ABOVE: usize = INITIAL_CREDIT as usize;

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
            self.unblock();
            let wanted = self.out_waiters > 0 || !self.blocked.is_empty();
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
            Purpose::Refresh { id, ticket } => self.refreshed(id, ticket, &response),
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
    fn adopt(&self, info: &VfdInfo) -> Option<Vfd> {
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
}
