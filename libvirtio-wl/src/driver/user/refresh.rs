//! Asking the device how large the memory of a VFD is now.

use std::collections::HashMap;

use nix::errno::Errno;

use super::{
    outbound::Purpose,
    state::State,
    token::FileId,
    transfer::{Attempt, check_is_open},
    vfd::Vfd,
};
use crate::wire::{Features, Request, Response, VfdId, VfdInfo};

#[cfg(test)]
mod tests;

/// Questions whose askers have not taken the answer yet. Two threads may ask about the same VFD.
#[derive(Debug, Default)]
pub(super) struct Refreshes {
    next: u64,
    answers: HashMap<u64, Result<u32, Errno>>,
}

impl State {
    /// Asks about the memory behind `file`. Returns what to ask [`end_refresh`](Self::end_refresh) for.
    pub(super) fn begin_refresh(&mut self, file: FileId) -> Attempt<u64> {
        self.check_alive()?;
        let id = check_is_open(self.identities.get(file))?;
        if !matches!(self.vfds.get(&id), Some(Vfd::Memory(_))) {
            return Err(Errno::EINVAL.into());
        }
        if !self.features.contains(Features::REFRESH) {
            return Err(Errno::EOPNOTSUPP.into());
        }
        if self.outbound.free() == 0 {
            return Ok(None);
        }
        let ticket = self.refreshes.next;
        self.refreshes.next += 1;
        let mut bytes = Vec::new();
        Request::Refresh { id }.encode(self.features, &mut bytes);
        let purpose = Purpose::Refresh { id, ticket };
        self.outbound.post([bytes.as_slice()], purpose);
        self.stats.requests += 1;
        Ok(Some(ticket))
    }

    /// Takes the answer: the size in bytes.
    pub(super) fn end_refresh(&mut self, ticket: u64) -> Attempt<u64> {
        match self.refreshes.answers.remove(&ticket) {
            Some(size) => Ok(Some(size?.into())),
            None => self.check_alive().map(|()| None),
        }
    }

    /// Acts on the reply.
    pub(super) fn refreshed(&mut self, id: VfdId, ticket: u64, response: &Response) {
        let size = match response {
            Response::VfdNew(info) if info.id == id => self.grown(info).ok_or(Errno::EPROTO),
            other => Err(other.errno().unwrap_or(Errno::EPROTO)),
        };
        if size == Err(Errno::EPROTO) {
            tracing::error!(%id, ?response, "the device says nonsense of the size of memory");
        }
        self.refreshes.answers.insert(ticket, size);
    }

    /// Takes a new size; `None` when what the device mapped is not that.
    ///
    /// The file stays the one that the user has open: it has grown, and the mapping at the new place
    /// is of the same. What is known never shrinks, as replies of questions asked at the same time
    /// may be taken in any order.
    fn grown(&mut self, info: &VfdInfo) -> Option<u32> {
        let range = info.memory?;
        let file = self.mappings.file(range.offset(), range.size)?;
        let identity = FileId::of(&file).ok()?;
        match self.vfds.get_mut(&info.id) {
            Some(Vfd::Memory(memory)) if memory.identity == identity => {
                memory.size = memory.size.max(range.size);
                Some(memory.size)
            }
            Some(_) => None,
            // Closed meanwhile.
            None => Some(range.size),
        }
    }
}
