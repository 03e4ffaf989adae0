//! Calls of users: what each does to the [`State`] when it need not wait.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{BorrowedFd, OwnedFd},
};

use nix::errno::Errno;

use super::{
    identity::Known,
    outbound::Purpose,
    state::State,
    token::{FileId, TokenPipe},
    vfd::{Handle, Vfd},
};
use crate::{
    driver::NewVfd,
    limits::{CREDIT_PER_VFD, INITIAL_CREDIT, MAX_CHUNK, MAX_VFDS_PER_MESSAGE},
    wire::{Features, Request, VfdId, VfdKind, encode_send_head},
};

/// Slots that messages leave free for requests of other kinds.
const RESERVED_SLOTS: usize = 8;

/// Credit is given in pieces this large, so that a stream takes few requests and never runs dry
/// while its reader keeps up.
const CREDIT_BATCH: u32 = INITIAL_CREDIT / 4;

/// `None`: it cannot be done now.
pub(super) type Attempt<T> = io::Result<Option<T>>;

impl State {
    /// Asks the device to create a VFD. Returns its id.
    pub(super) fn begin_create(
        &mut self,
        request: impl FnOnce(VfdId) -> Request<'static>,
    ) -> Attempt<VfdId> {
        self.check_alive()?;
        if self.outbound.free() == 0 {
            return Ok(None);
        }
        let id = self.ids.allocate().ok_or(Errno::ENOSPC)?;
        let mut bytes = Vec::new();
        request(id).encode(self.features, &mut bytes);
        self.outbound.post([bytes.as_slice()], Purpose::Create(id));
        self.stats.requests += 1;
        Ok(Some(id))
    }

    /// Takes the device's answer. The descriptor of a stream is `spare` if there is one.
    pub(super) fn end_create(
        &mut self,
        id: VfdId,
        spare: &mut Option<(TokenPipe, OwnedFd)>,
    ) -> Attempt<NewVfd> {
        let Some(response) = self.replies.remove(&id) else {
            self.check_alive()?;
            return Ok(None);
        };
        if let Some(errno) = response.errno() {
            self.ids.free(id);
            return Err(errno.into());
        }
        match self.hand_out(id, spare.take()) {
            Ok(Some(new)) => Ok(Some(new)),
            Ok(None) => {
                tracing::error!(%id, ?response, "the device created something else than was asked for");
                self.request(Request::Close { id }, Purpose::Close(id));
                Err(Errno::EPROTO.into())
            }
            Err(error) => {
                self.close(id);
                Err(error)
            }
        }
    }

    /// Puts as much of a message on the queue as there is room for.
    pub(super) fn try_send(
        &mut self,
        file: FileId,
        bufs: &[IoSlice<'_>],
        attached: &[FileId],
    ) -> Attempt<usize> {
        let id = self.sendable(file)?;
        let mut vfds = attached
            .iter()
            .map(|&file| check_is_open(self.identities.get(file)))
            .collect::<Result<Vec<_>, _>>()?;
        let mut rest = Slices::new(bufs);
        if rest.is_empty() {
            return Ok(Some(0));
        }
        let mut head = Vec::new();
        let mut sent = 0;
        while !rest.is_empty() {
            let room = self.room();
            let Some(Vfd::Stream(stream)) = self.vfds.get_mut(&id) else {
                break;
            };
            if !stream.has_room(room) {
                break;
            }
            head.clear();
            encode_send_head(id, &vfds, &mut head);
            vfds.clear();
            let chunk = rest.take(MAX_CHUNK);
            sent += chunk.iter().map(|part| part.len()).sum::<usize>();
            let parts = std::iter::once(head.as_slice()).chain(chunk);
            self.outbound.post(parts, Purpose::Send(id));
            stream.in_flight += 1;
            self.stats.requests += 1;
        }
        Ok((sent > 0).then_some(sent))
    }

    /// As [`try_send`](Self::try_send) for a sender that does not wait but hears when it may try again.
    /// `reader` is any duplicate of the VFD's fd.
    pub(super) fn try_send_or_hear(
        &mut self,
        file: FileId,
        reader: BorrowedFd<'_>,
        bufs: &[IoSlice<'_>],
        attached: &[FileId],
    ) -> Attempt<usize> {
        let sent = self.try_send(file, bufs, attached)?;
        if let Some(Known::Open(id)) = self.identities.get(file) {
            self.heard(id, reader);
            if sent.is_none() {
                self.block(id);
            }
        }
        Ok(sent)
    }

    /// The sender has tried again: its descriptor need not tell it to any more.
    fn heard(&mut self, id: VfdId, reader: BorrowedFd<'_>) {
        if let Some(Vfd::Stream(stream)) = self.vfds.get_mut(&id)
            && std::mem::take(&mut stream.may_send)
            && stream.inbox.is_empty()
            && let Some(handle) = &mut stream.handle
        {
            handle.pipe.lower(reader);
        }
    }

    /// Slots that are left for messages.
    pub(super) fn room(&self) -> usize {
        self.outbound.free().saturating_sub(RESERVED_SLOTS)
    }

    fn sendable(&self, file: FileId) -> io::Result<VfdId> {
        let (id, stream) = match self.identities.get(file) {
            None => return Err(Errno::ENOTTY.into()),
            Some(Known::Ended(_)) => return Err(Errno::EPIPE.into()),
            Some(Known::Open(id)) => match self.vfds.get(&id) {
                Some(Vfd::Stream(stream)) => (id, stream),
                _ => return Err(Errno::EINVAL.into()),
            },
        };
        if !stream.can_send() {
            return Err(Errno::EBADF.into());
        }
        if stream.hung_up || stream.broken {
            return Err(Errno::EPIPE.into());
        }
        Ok(id)
    }

    /// Takes what has arrived. `reader` is any duplicate of the VFD's fd.
    pub(super) fn try_receive(
        &mut self,
        file: FileId,
        reader: BorrowedFd<'_>,
        bufs: &mut [IoSliceMut<'_>],
        out: &mut Vec<NewVfd>,
    ) -> Attempt<usize> {
        let id = match self.identities.get(file) {
            None => return Err(Errno::ENOTTY.into()),
            Some(Known::Ended(_)) => return Ok(Some(0)),
            Some(Known::Open(id)) => id,
        };
        match self.vfds.get(&id) {
            Some(Vfd::Stream(stream)) if stream.can_receive() || stream.hung_up => {}
            Some(Vfd::Stream(_)) => return Err(Errno::EBADF.into()),
            _ => return Err(Errno::EINVAL.into()),
        }
        let before = out.len();
        let bytes = self.fill(id, bufs, out)?;
        let vfds = out.len() - before;
        self.consumed(id, bytes, vfds);
        let Some(Vfd::Stream(stream)) = self.vfds.get_mut(&id) else {
            return Ok(Some(bytes));
        };
        stream.may_send = false;
        if stream.inbox.is_empty() {
            if let Some(handle) = &mut stream.handle {
                handle.pipe.lower(reader);
            }
            if bytes == 0 && vfds == 0 && !stream.hung_up {
                return Ok(None);
            }
            self.touch(id);
        }
        Ok(Some(bytes))
    }

    /// Moves bytes and VFDs to the caller, in the order of the stream.
    fn fill(
        &mut self,
        id: VfdId,
        bufs: &mut [IoSliceMut<'_>],
        out: &mut Vec<NewVfd>,
    ) -> io::Result<usize> {
        let limit = out.len() + MAX_VFDS_PER_MESSAGE;
        let mut vfds = 0;
        let mut total = 0;
        for buf in bufs {
            let mut filled = 0;
            while filled < buf.len() {
                while let Some(next) = self.inbox(id).and_then(|inbox| inbox.next_vfd()) {
                    if out.len() == limit {
                        return Ok(total);
                    }
                    match self.hand_out(next, None) {
                        Ok(new) => out.extend(new),
                        // What was taken so far must not be lost; the error will come again.
                        Err(_) if total > 0 || vfds > 0 => return Ok(total),
                        Err(error) => return Err(error),
                    }
                    vfds += 1;
                    if let Some(inbox) = self.inbox(id) {
                        inbox.pop_vfd();
                    }
                }
                let taken = self
                    .inbox(id)
                    .map_or(0, |inbox| inbox.read(&mut buf[filled..]));
                if taken == 0 {
                    return Ok(total);
                }
                filled += taken;
                total += taken;
            }
        }
        Ok(total)
    }

    fn inbox(&mut self, id: VfdId) -> Option<&mut super::inbox::Inbox> {
        match self.vfds.get_mut(&id) {
            Some(Vfd::Stream(stream)) => Some(&mut stream.inbox),
            _ => None,
        }
    }

    /// Lets the device send as much again as was consumed.
    fn consumed(&mut self, id: VfdId, bytes: usize, vfds: usize) {
        let Some(Vfd::Stream(stream)) = self.vfds.get_mut(&id) else {
            return;
        };
        if !self.features.contains(Features::CREDIT) {
            if stream.inbox.len() <= INITIAL_CREDIT as usize {
                for buffer in stream.inbox.release() {
                    self.inbound.give_back(buffer);
                }
            }
            return;
        }
        let units = u32::try_from(bytes).unwrap_or(u32::MAX);
        stream.uncredited = stream
            .uncredited
            .saturating_add(units)
            .saturating_add(vfds as u32 * CREDIT_PER_VFD);
        if stream.uncredited >= CREDIT_BATCH && !stream.hung_up {
            let units = std::mem::take(&mut stream.uncredited);
            self.request(Request::Credit { id, units }, Purpose::Credit(id));
        }
    }

    /// Makes the file descriptor of a VFD that nobody has one of; `None` when the VFD has gone.
    fn hand_out(
        &mut self,
        id: VfdId,
        spare: Option<(TokenPipe, OwnedFd)>,
    ) -> io::Result<Option<NewVfd>> {
        let Some(vfd) = self.vfds.get_mut(&id) else {
            return Ok(None);
        };
        let kind = vfd.kind();
        let (fd, file) = match vfd {
            Vfd::Memory(memory) => {
                let fd = self.lending.lend(id, memory.identity, &memory.file)?;
                (fd, memory.identity)
            }
            Vfd::Stream(stream) => {
                let (pipe, fd) = spare.map_or_else(TokenPipe::new, Ok)?;
                let file = FileId::of(&fd)?;
                self.poller.add_stream(&pipe, id)?;
                stream.handle = Some(Handle { pipe, file });
                (fd, file)
            }
        };
        self.identities.insert(file, id);
        self.touch(id);
        Ok(Some(NewVfd { fd, kind }))
    }

    /// What `file` stands for.
    pub(super) fn kind(&self, file: FileId) -> Option<VfdKind> {
        match self.identities.get(file)? {
            Known::Ended(kind) => Some(kind),
            Known::Open(id) => self.vfds.get(&id).map(Vfd::kind),
        }
    }

    /// The user says that it has closed an fd of this file.
    pub(super) fn closed_by_user(&mut self, file: FileId) {
        match self.identities.get(file) {
            None => {}
            Some(Known::Ended(_)) => self.identities.forget(file),
            Some(Known::Open(id)) => match self.vfds.get(&id) {
                Some(Vfd::Memory(memory)) if !self.lending.watches(id, memory.identity) => {
                    self.close(id);
                }
                Some(Vfd::Memory(_)) => self.close_returned(),
                _ => self.close_if_abandoned(id),
            },
        }
    }

    pub(super) fn check_alive(&self) -> io::Result<()> {
        if self.dead {
            return Err(Errno::ENODEV.into());
        }
        Ok(())
    }
}

/// The VFD of a file that is one.
pub(super) fn check_is_open(known: Option<Known>) -> Result<VfdId, Errno> {
    match known {
        Some(Known::Open(id)) => Ok(id),
        Some(Known::Ended(_)) => Err(Errno::EINVAL),
        None => Err(Errno::ENOTTY),
    }
}

/// A message that is cut into pieces.
struct Slices<'a> {
    bufs: &'a [IoSlice<'a>],
    /// Bytes of the first buffer that are gone.
    offset: usize,
}

impl<'a> Slices<'a> {
    fn new(bufs: &'a [IoSlice<'a>]) -> Self {
        let mut slices = Self { bufs, offset: 0 };
        slices.skip_empty();
        slices
    }

    fn is_empty(&self) -> bool {
        self.bufs.is_empty()
    }

    fn skip_empty(&mut self) {
        while let Some((first, rest)) = self.bufs.split_first()
            && first.len() == self.offset
        {
            self.bufs = rest;
            self.offset = 0;
        }
    }

    /// Up to `limit` bytes from the front.
    fn take(&mut self, limit: usize) -> Vec<&'a [u8]> {
        let mut parts = Vec::new();
        let mut left = limit;
        while left > 0
            && let Some(first) = self.bufs.first()
        {
            let first: &'a [u8] = first;
            let available = &first[self.offset..];
            let part = &available[..available.len().min(left)];
            left -= part.len();
            self.offset += part.len();
            parts.push(part);
            self.skip_empty();
        }
        parts
    }
}
