//! The shared memory region, and the device's requests to map files into it.
//!
//! In a VM a mapping makes a file visible to the guest. Here the guest is this process, so the
//! file itself is kept, under its offset in the region, and is what users of memory VFDs get.
//!
//! The vhost crate has a server for these requests, which is not used: its receive has no
//! close-on-exec, blocks in the middle of a message, and answers nothing at all when a descriptor
//! could not be installed (the device would wait for ever).

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, send},
};
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout,
    byteorder::native_endian::{U32, U64},
};

use super::sys;
use crate::limits::{PAGE_SIZE, SHMEM_REGION_ID, SHMEM_REGION_SIZE};

/// vhost-user backend request: map a file into a shared memory region.
const SHMEM_MAP: u32 = 9;
/// vhost-user backend request: undo that.
const SHMEM_UNMAP: u32 = 10;

/// Version of the vhost-user protocol, in the two low bits of a message's flags.
const VERSION: u32 = 1;
/// Flag: this is a reply.
const REPLY: u32 = 1 << 2;
/// Flag: the sender waits for a reply.
const NEED_REPLY: u32 = 1 << 3;

/// Header of every vhost-user message: native endian, as both ends are on one machine.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Header {
    request: U32,
    flags: U32,
    size: U32,
}

/// Body of SHMEM_MAP and SHMEM_UNMAP.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Map {
    region: u8,
    padding: [u8; 7],
    file_offset: U64,
    offset: U64,
    len: U64,
    flags: U64,
}

const HEADER_SIZE: usize = size_of::<Header>();
const MESSAGE_SIZE: usize = HEADER_SIZE + size_of::<Map>();

const _: () = assert!(HEADER_SIZE == 12 && MESSAGE_SIZE == 52);

/// Files mapped into the region, by offset.
#[derive(Debug, Default)]
pub(super) struct Mappings(BTreeMap<u64, Mapping>);

#[derive(Debug)]
struct Mapping {
    file: Arc<OwnedFd>,
    len: u64,
}

impl Mappings {
    /// The file mapped at exactly `offset` with at least `size` bytes.
    pub(super) fn file(&self, offset: u64, size: u32) -> Option<Arc<OwnedFd>> {
        let mapping = self.0.get(&offset)?;
        (u64::from(size) <= mapping.len).then(|| Arc::clone(&mapping.file))
    }

    fn map(&mut self, request: &Map, file: Option<OwnedFd>) -> Result<(), Errno> {
        let range = request.range()?;
        let file = file.ok_or(Errno::EBADF)?;
        // A user of the VFD maps the file from its start, so the mapping must begin there too.
        if request.file_offset.get() != 0 {
            return Err(Errno::EINVAL);
        }
        let overlaps = self
            .0
            .range(..range.end)
            .next_back()
            .is_some_and(|(&start, mapping)| start + mapping.len > range.start);
        if overlaps {
            return Err(Errno::EEXIST);
        }
        let mapping = Mapping {
            file: Arc::new(file),
            len: range.end - range.start,
        };
        self.0.insert(range.start, mapping);
        Ok(())
    }

    /// Mappings end as they began: whole.
    fn unmap(&mut self, request: &Map) -> Result<(), Errno> {
        let range = request.range()?;
        let mapping = self.0.get(&range.start).ok_or(Errno::ENOENT)?;
        if mapping.len != range.end - range.start {
            return Err(Errno::EINVAL);
        }
        self.0.remove(&range.start);
        Ok(())
    }
}

impl Map {
    /// Where in the region this is.
    fn range(&self) -> Result<std::ops::Range<u64>, Errno> {
        let (start, len) = (self.offset.get(), self.len.get());
        let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
        let aligned = start.is_multiple_of(PAGE_SIZE) && len.is_multiple_of(PAGE_SIZE);
        if self.region != SHMEM_REGION_ID || len == 0 || !aligned || end > SHMEM_REGION_SIZE {
            return Err(Errno::EINVAL);
        }
        Ok(start..end)
    }
}

/// The socket on which the device asks for mappings.
#[derive(Debug)]
pub(super) struct RequestChannel {
    socket: UnixStream,
    /// The request received so far.
    buffer: [u8; MESSAGE_SIZE],
    filled: usize,
    file: Option<OwnedFd>,
    file_lost: bool,
}

impl RequestChannel {
    /// The channel, and the end for the device.
    pub(super) fn new() -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let channel = Self {
            socket: ours,
            buffer: [0; MESSAGE_SIZE],
            filled: 0,
            file: None,
            file_lost: false,
        };
        Ok((channel, theirs))
    }

    /// Carries out and answers all requests that have arrived. Returns their number.
    ///
    /// An error means that the channel is of no more use.
    pub(super) fn serve(&mut self, mappings: &mut Mappings) -> io::Result<usize> {
        let mut served = 0;
        while let Some(header) = self.receive()? {
            let result = self.carry_out(header, mappings);
            if header.flags.get() & NEED_REPLY != 0 {
                self.answer(header, result)?;
            }
            self.filled = 0;
            self.file = None;
            self.file_lost = false;
            served += 1;
        }
        Ok(served)
    }

    /// Receives until a request is complete; `None` when it is not yet.
    fn receive(&mut self) -> io::Result<Option<Header>> {
        loop {
            let wanted = if self.filled < HEADER_SIZE {
                HEADER_SIZE
            } else {
                let header = self.header()?;
                let size = header.size.get() as usize;
                if size > MESSAGE_SIZE - HEADER_SIZE {
                    return Err(protocol_error("message too long"));
                }
                if self.filled == HEADER_SIZE + size {
                    return Ok(Some(header));
                }
                HEADER_SIZE + size
            };
            let buffer = &mut self.buffer[self.filled..wanted];
            match sys::receive_with_fd(self.socket.as_fd(), buffer) {
                Ok(received) if received.bytes == 0 => {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                Ok(received) => {
                    self.filled += received.bytes;
                    self.file = received.fd.or(self.file.take());
                    self.file_lost |= received.fd_lost;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn header(&self) -> io::Result<Header> {
        let (header, _) =
            Header::read_from_prefix(&self.buffer).map_err(|_| protocol_error("short header"))?;
        if header.flags.get() & 0b11 != VERSION || header.flags.get() & REPLY != 0 {
            return Err(protocol_error("header flags are not those of a request"));
        }
        Ok(header)
    }

    fn carry_out(&mut self, header: Header, mappings: &mut Mappings) -> Result<(), Errno> {
        let size = header.size.get() as usize;
        let body = &self.buffer[HEADER_SIZE..HEADER_SIZE + size];
        let request = Map::read_from_bytes(body).map_err(|_| Errno::EINVAL);
        match header.request.get() {
            SHMEM_MAP if self.file_lost => Err(Errno::EMFILE),
            SHMEM_MAP => mappings.map(&request?, self.file.take()),
            SHMEM_UNMAP => mappings.unmap(&request?),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// Answers 0 or a negated errno.
    fn answer(&mut self, request: Header, result: Result<(), Errno>) -> io::Result<()> {
        if let Err(errno) = result {
            tracing::warn!(request = request.request.get(), %errno, "refused a mapping request");
        }
        let value = match result {
            Ok(()) => 0,
            Err(errno) => -i64::from(errno as i32),
        };
        let header = Header {
            request: request.request,
            flags: (VERSION | REPLY).into(),
            size: (size_of::<u64>() as u32).into(),
        };
        let mut message = header.as_bytes().to_vec();
        message.extend_from_slice(&value.to_ne_bytes());
        // The device waits for each answer before it asks again: 20 bytes always fit.
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let sent = send(self.socket.as_raw_fd(), &message, flags)?;
        if sent != message.len() {
            return Err(protocol_error("answers are not received"));
        }
        Ok(())
    }
}

impl AsFd for RequestChannel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn protocol_error(message: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests;
