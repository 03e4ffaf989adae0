//! Host buffers that stand in for a client's buffer.
//!
//! A client's `wl_buffer` has no counterpart. When it is committed, its pixels
//! are copied into a *copy*: a `wl_buffer` of the host in memory allocated from
//! the host. A copy belongs to one client buffer and is used again for it, so
//! that only what changed has to be copied.
//!
//! A copy that the host may be reading (from the commit to
//! `wl_buffer.release`) is never written: if the client commits the same buffer
//! again in the meantime, which the protocol allows, that commit gets another
//! copy. The client's buffer is released when the host uses no copy of it any
//! more. To release it earlier, right after copying, would be legal too, but it
//! would take away the pace that the host sets, and a client that draws as fast
//! as it gets buffers back would fill the memory with copies.
//!
//! When the client destroys its buffer while it is shown, the copy lives on
//! until the host releases it, since its memory must not be used again before.

use std::rc::Rc;

use super::fault::{display_error, shm_error};
use super::opcode::{
    BUFFER_DESTROY, BUFFER_RELEASE, POOL_CREATE_BUFFER, POOL_DESTROY, SHM_CREATE_POOL,
};
use super::{ClientError, Data, ObjectRef, Relay};
use crate::chain::Chain;
use crate::objects::HostObject;
use crate::shm::arena::{Arena, Place};
use crate::shm::copy::{self, Layout};
use crate::shm::damage::History;
use crate::shm::file::{FileCount, PoolFile};
use crate::shm::format;
use crate::shm::memory::{Allocator, SharedMemory};

/// Copies of one client buffer in use at a time. The host holds a few of the
/// same buffer when the client shows it on several surfaces; a host that never
/// releases is stopped here.
const MAX_COPIES: usize = 64;

/// Bytes of shared memory for one client: fifteen frames of 3840×2160 pixels.
/// The real limit, for the whole guest, is the host's.
const MAX_TOTAL: usize = 512 << 20;

/// Bytes of one buffer: 8192×8192 pixels. A copy is made in one go, during which
/// other clients wait.
const MAX_BUFFER: usize = 256 << 20;

/// A client's buffer of shared memory.
#[derive(Debug)]
pub(super) struct Buffer {
    file: Rc<PoolFile>,
    layout: Layout,
    /// Keys of its copies.
    copies: Vec<usize>,
}

impl Buffer {
    pub(super) fn new(file: Rc<PoolFile>, layout: Layout) -> Self {
        Self {
            file,
            layout,
            copies: Vec::new(),
        }
    }
}

/// A host buffer.
#[derive(Debug)]
struct Copy {
    host: u32,
    place: Place,
    /// From the commit to the host's release.
    busy: bool,
    /// The client's buffer, until that is destroyed.
    owner: Option<ObjectRef>,
    /// The surface and the number of its commit whose pixels it holds.
    holds: Option<(u64, u64)>,
}

/// A segment of memory with the host's pool of it.
#[derive(Debug)]
struct Segment {
    memory: SharedMemory,
    pool: u32,
}

/// All host buffers of one client.
#[derive(Debug)]
pub(super) struct Buffers {
    allocator: Rc<dyn Allocator>,
    arena: Arena<Segment>,
    copies: Vec<Option<Copy>>,
    /// `wl_shm` of the host; version 1 cannot be destroyed.
    shm: Option<u32>,
    formats: Vec<u32>,
    /// Open files of the client.
    pub(super) files: FileCount,
    /// See [`Relay::take_copy_cost`].
    pub(super) copy_cost: u64,
}

impl Buffers {
    pub(super) fn new(allocator: Rc<dyn Allocator>) -> Self {
        Self {
            allocator,
            arena: Arena::default(),
            copies: Vec::new(),
            shm: None,
            formats: format::ALWAYS.into(),
            files: FileCount::default(),
            copy_cost: 0,
        }
    }

    pub(super) fn set_shm(&mut self, host: u32) {
        self.shm.get_or_insert(host);
    }

    pub(super) fn add_format(&mut self, format: u32) {
        if !self.formats.contains(&format) {
            self.formats.push(format);
        }
    }

    pub(super) fn has_format(&self, format: u32) -> bool {
        self.formats.contains(&format)
    }

    /// The client's buffer that a copy stands for.
    pub(super) fn owner(&self, key: usize) -> Option<u32> {
        Some(self.copies.get(key)?.as_ref()?.owner?.id)
    }

    fn copy(&mut self, key: usize) -> Option<&mut Copy> {
        self.copies.get_mut(key)?.as_mut()
    }

    fn is_busy(&self, key: usize) -> bool {
        self.copies
            .get(key)
            .is_some_and(|copy| copy.as_ref().is_some_and(|copy| copy.busy))
    }
}

impl Relay {
    /// Copies the pixels of a client's buffer for commit `history.now()` of
    /// `surface`; returns the host's buffer, which is busy from now on.
    pub(super) fn copy_buffer(
        &mut self,
        buffer: ObjectRef,
        surface: u64,
        history: &History,
    ) -> Result<u32, ClientError> {
        let object = self.objects.get(buffer.id);
        let Some(Data::Buffer(source)) = object.map(|object| &object.data) else {
            return Err(ClientError::invalid_object(buffer.id));
        };
        let (file, layout) = (Rc::clone(&source.file), source.layout);
        let key = match self.idle_copy(&source.copies, surface) {
            Some(key) => key,
            None => self.new_copy(buffer, layout)?,
        };
        let Self {
            buffers:
                Buffers {
                    arena,
                    copies,
                    copy_cost,
                    ..
                },
            ..
        } = self;
        let copy = copies[key].as_mut().expect("key of a live copy");
        let damage = match copy.holds {
            Some((held, commit)) if held == surface => history.since(commit),
            _ => crate::shm::damage::Damage::whole(),
        };
        let map = &arena.memory(copy.place.segment).memory.map;
        *copy_cost +=
            copy::update(map, copy.place.offset, &file, &layout, &damage).map_err(|error| {
                let text = format!("error accessing SHM buffer: {}", Chain(&error));
                ClientError::new(buffer.id, shm_error::INVALID_FD, text)
            })?;
        copy.holds = Some((surface, history.now()));
        copy.busy = true;
        Ok(copy.host)
    }

    /// The host is done with a copy.
    pub(super) fn buffer_released(&mut self, key: usize) {
        let Some(copy) = self.buffers.copy(key).filter(|copy| copy.busy) else {
            return;
        };
        copy.busy = false;
        let Some(owner) = copy.owner else {
            self.destroy_copy(key);
            return;
        };
        let Some(Data::Buffer(buffer)) = self.objects.get(owner.id).map(|object| &object.data)
        else {
            return;
        };
        if !buffer.copies.iter().any(|key| self.buffers.is_busy(*key)) {
            self.to_client.message(owner.id, BUFFER_RELEASE).done();
        }
    }

    /// The client destroyed its buffer.
    pub(super) fn abandon_copies(&mut self, buffer: &Buffer) {
        for key in &buffer.copies {
            match self.buffers.copy(*key) {
                Some(copy) if copy.busy => copy.owner = None,
                _ => self.destroy_copy(*key),
            }
        }
    }

    /// A copy that may be written, best one that was last filled for the same
    /// surface, and the latest of those.
    fn idle_copy(&self, keys: &[usize], surface: u64) -> Option<usize> {
        let idle = keys
            .iter()
            .copied()
            .filter(|key| !self.buffers.is_busy(*key));
        idle.max_by_key(|key| {
            let holds = self.buffers.copies[*key]
                .as_ref()
                .and_then(|copy| copy.holds);
            holds.filter(|(held, _)| *held == surface)
        })
    }

    fn new_copy(&mut self, owner: ObjectRef, layout: Layout) -> Result<usize, ClientError> {
        let len = usize::try_from(layout.len()).unwrap_or(usize::MAX);
        let place = self.place(len)?;
        let key = self.buffers.copies.iter().position(Option::is_none);
        let key = key.unwrap_or_else(|| {
            self.buffers.copies.push(None);
            self.buffers.copies.len() - 1
        });
        let host = self.objects.allocate_host(HostObject::OwnBuffer(key));
        let pool = self.buffers.arena.memory(place.segment).pool;
        self.to_host
            .message(pool, POOL_CREATE_BUFFER)
            .uint(host)
            .uint(place.offset as u32)
            .int(layout.width)
            .int(layout.height)
            .int(layout.stride)
            .uint(layout.format)
            .done();
        self.buffers.copies[key] = Some(Copy {
            host,
            place,
            busy: false,
            owner: Some(owner),
            holds: None,
        });
        let object = self.objects.get_mut(owner.id);
        let Some(Data::Buffer(buffer)) = object.map(|object| &mut object.data) else {
            return Err(ClientError::invalid_object(owner.id));
        };
        if buffer.copies.len() >= MAX_COPIES {
            let text = "the compositor releases no buffer";
            return Err(ClientError::display(display_error::NO_MEMORY, text));
        }
        buffer.copies.push(key);
        Ok(key)
    }

    /// Room for `len` bytes, in a new segment if need be.
    fn place(&mut self, len: usize) -> Result<Place, ClientError> {
        let no_memory = |text: String| ClientError::display(display_error::NO_MEMORY, text);
        if len > MAX_BUFFER {
            return Err(no_memory("buffer too large".into()));
        }
        if let Some(place) = self.buffers.arena.take(len) {
            return Ok(place);
        }
        let shm = self
            .buffers
            .shm
            .ok_or_else(|| no_memory("no wl_shm".into()))?;
        let len_of_segment = Arena::<Segment>::segment_len(len);
        if self.buffers.arena.total() + len_of_segment > MAX_TOTAL {
            return Err(no_memory("too much shared memory in use".into()));
        }
        let memory = self.buffers.allocator.allocate(len_of_segment);
        let memory = memory.map_err(|error| {
            let text = format!("cannot share {len_of_segment} bytes: {}", Chain(&error));
            tracing::warn!("{text}");
            no_memory(text)
        })?;
        let fd = std::os::fd::AsFd::as_fd(&memory).try_clone_to_owned();
        let fd = fd.map_err(|error| no_memory(format!("cannot share memory: {error}")))?;
        let pool = self.objects.allocate_host(HostObject::OwnPool);
        self.to_host
            .message(shm, SHM_CREATE_POOL)
            .uint(pool)
            .uint(len_of_segment as u32)
            .fd(fd)
            .done();
        self.buffers
            .arena
            .add(Segment { memory, pool }, len_of_segment);
        let place = self.buffers.arena.take(len);
        place.ok_or_else(|| no_memory("no room in a new segment".into()))
    }

    fn destroy_copy(&mut self, key: usize) {
        let Some(copy) = self.buffers.copies.get_mut(key).and_then(Option::take) else {
            return;
        };
        self.to_host.message(copy.host, BUFFER_DESTROY).done();
        self.objects.own_destroyed(copy.host);
        if let Some(segment) = self.buffers.arena.free(copy.place) {
            self.to_host.message(segment.pool, POOL_DESTROY).done();
            self.objects.own_destroyed(segment.pool);
        }
    }
}
