//! One request of the guest: bytes → core → response.

use virtio_wl::limits::PAGE_SHIFT;
use virtio_wl::wire::{
    Features, MemoryRange, PipeDirection, Request, Response, SendItem, VfdFlags, VfdId, VfdInfo,
};

use super::inbox::Inbox;
use super::late::Until;
use crate::core::session::{Announced, Session, SessionError};

#[cfg(test)]
mod tests;

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    /// The answer.
    pub response: Response,
    /// The VFD that may be a reason to finish it late.
    pub late: Option<Until>,
}

/// Carries out one request, already copied out of guest memory.
pub fn serve(session: &mut Session, inbox: &mut Inbox, features: Features, bytes: &[u8]) -> Served {
    let refuse = |response| Served {
        response,
        late: None,
    };
    let request = match Request::parse(bytes, features) {
        Ok(request) => request,
        Err(error) => {
            tracing::debug!(%error, "malformed request");
            return refuse(error.response());
        }
    };
    match carry_out(session, inbox, features, &request) {
        Ok(response) => Served {
            response,
            late: may_be_late(&request, features),
        },
        Err(error) => {
            tracing::debug!(?request, %error, "request failed");
            refuse(response_to(&error))
        }
    }
}

/// What may be a reason to finish a request late.
fn may_be_late(request: &Request<'_>, features: Features) -> Option<Until> {
    let has_credit = features.contains(Features::CREDIT);
    match request {
        Request::NewMemory { id, .. } | Request::Refresh { id } => Some(Until::Settled(id.get())),
        Request::Send { id, .. } | Request::SendForeign { id, .. } => {
            has_credit.then(|| Until::Settled(id.get()))
        }
        Request::Close { id } => has_credit.then(|| Until::Unmapped(id.get())),
        _ => None,
    }
}

fn carry_out(
    session: &mut Session,
    inbox: &mut Inbox,
    features: Features,
    request: &Request<'_>,
) -> Result<Response, SessionError> {
    match request {
        Request::NewMemory { id, size, .. } => {
            let announced = session.new_memory(id.get(), u64::from(*size))?;
            Ok(Response::VfdNew(describe(*id, announced, features)))
        }
        Request::NewContext { id, name } => {
            let announced = session.connect(id.get(), name.as_str())?;
            Ok(Response::VfdNew(describe(*id, announced, features)))
        }
        Request::NewPipe { id, direction } => {
            let guest_reads = *direction == PipeDirection::Read;
            let announced = session.new_pipe(id.get(), guest_reads)?;
            Ok(Response::VfdNew(describe(*id, announced, features)))
        }
        Request::Send { id, vfds, data } => {
            let attach: Vec<_> = vfds.iter().map(|id| id.get()).collect();
            session.send(id.get(), data, &attach)?;
            Ok(Response::Ok)
        }
        Request::SendForeign { id, items, data } => {
            // Objects of virtio-gpu exist only for a device that shares a
            // process with it, as none behind vhost-user does.
            let attach = items.iter().map(|item| match item {
                SendItem::Local(id) => Ok(id.get()),
                _ => Err(SessionError::Type),
            });
            let attach = attach.collect::<Result<Vec<_>, _>>()?;
            session.send(id.get(), data, &attach)?;
            Ok(Response::Ok)
        }
        Request::Close { id } => {
            session.close(id.get())?;
            inbox.forget(session, id.get());
            Ok(Response::Ok)
        }
        Request::Credit { id, units } => {
            if !session.is_readable(id.get()) {
                return Err(SessionError::Id);
            }
            inbox.grant(session, id.get(), *units);
            Ok(Response::Ok)
        }
        Request::Refresh { id } => {
            let announced = session.refresh(id.get())?;
            Ok(Response::VfdNew(describe(*id, announced, features)))
        }
        // Needs a graphics buffer allocator on the host. Guests take this answer
        // as "not supported" and use shared memory.
        Request::NewDmabuf { .. } | Request::DmabufSync { .. } => Ok(Response::InvalidCmd),
    }
}

/// A VFD in the terms of the protocol.
#[must_use]
pub fn describe(id: VfdId, announced: Announced, features: Features) -> VfdInfo {
    let (flags, memory) = match announced {
        Announced::Memory { offset, size } => {
            let range = MemoryRange {
                pfn: offset >> PAGE_SHIFT,
                size: u32::try_from(size).unwrap_or(u32::MAX),
            };
            (VfdFlags::empty(), Some(range))
        }
        Announced::Socket => (VfdFlags::READ | VfdFlags::WRITE, None),
        Announced::Pipe { read, write } => {
            let mut flags = VfdFlags::empty();
            flags.set(VfdFlags::READ, read);
            flags.set(VfdFlags::WRITE, write);
            (flags, None)
        }
        Announced::Fence => (VfdFlags::FENCE, None),
        Announced::Dead => (VfdFlags::empty(), None),
    };
    let flags = if features.contains(Features::TRANS_FLAGS) {
        flags
    } else {
        // Before the transition, flags said what a VFD is.
        match announced {
            Announced::Memory { .. } => VfdFlags::WRITE | VfdFlags::MAP,
            Announced::Socket => VfdFlags::CONTROL,
            _ => VfdFlags::empty(),
        }
    };
    VfdInfo { id, flags, memory }
}

fn response_to(error: &SessionError) -> Response {
    match error {
        SessionError::Id => Response::InvalidId,
        SessionError::Type => Response::InvalidType,
        SessionError::Memory(_) | SessionError::Quota(_) => Response::OutOfMemory,
        SessionError::Unnamed | SessionError::Host(_) => Response::Err,
    }
}
