//! The relay between one client and the host, without any input or output of
//! its own: messages and descriptors in, messages and descriptors out.
//!
//! * `request` and `event` forward what needs only its ids and descriptors
//!   translated, which is nearly everything;
//! * `registry` hides what the relay does not understand;
//! * `offer` sees to it that a selection is received through a pipe;
//! * `shm`, `buffer` and `surface` replace the client's memory by memory
//!   of the host.

mod buffer;
mod event;
mod fault;
mod offer;
mod opcode;
mod registry;
mod request;
mod shm;
mod surface;

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::objects::{Objects, Role};
use crate::shm::file::PoolFile;
use crate::shm::memory::Allocator;
use crate::wire::{ArgReader, DISPLAY_ID, Message, OutQueue};

use buffer::Buffers;
pub use fault::{ClientError, HostError, display_error};
use opcode::{DISPLAY_DELETE_ID, DISPLAY_ERROR};
use registry::Registry;
use surface::Surface;

/// What the relay keeps about an object.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    Pool(Rc<PoolFile>),
    Buffer(Box<buffer::Buffer>),
    Surface(Box<Surface>),
    /// The surface that a viewport scales.
    Viewport(ObjectRef),
}

/// An object that may be destroyed and its id used again in the meantime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ObjectRef {
    id: u32,
    serial: u64,
}

/// One client's state.
#[derive(Debug)]
pub struct Relay {
    /// Messages for the client.
    pub to_client: OutQueue,
    /// Messages for the host.
    pub to_host: OutQueue,
    objects: Objects<Data>,
    registry: Registry,
    buffers: Buffers,
    /// The host sent `wl_display.error`: nothing more will come.
    finished: bool,
}

impl Relay {
    /// Starts with `wl_display` on both sides.
    #[must_use]
    pub fn new(allocator: Rc<dyn Allocator>) -> Self {
        Self {
            to_client: OutQueue::default(),
            to_host: OutQueue::default(),
            objects: Objects::default(),
            registry: Registry::default(),
            buffers: Buffers::new(allocator),
            finished: false,
        }
    }

    /// Hides `wl_surface.damage_buffer` from the client.
    pub fn hide_damage_buffer(&mut self) {
        self.registry.no_damage_buffer = true;
    }

    /// Whether the connection ends once [`to_client`](Self::to_client) is sent.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Time spent on copying since the last call, in bytes that could have been
    /// copied meanwhile.
    pub fn take_copy_cost(&mut self) -> u64 {
        std::mem::take(&mut self.buffers.copy_cost)
    }

    /// Handles one request of the client.
    ///
    /// # Errors
    /// [`ClientError`] to be told to the client by [`fail`](Self::fail).
    pub fn request(
        &mut self,
        message: Message<'_>,
        fds: &mut VecDeque<OwnedFd>,
    ) -> Result<(), ClientError> {
        let object = self.objects.get_alive(message.object);
        let object = object.ok_or_else(|| ClientError::invalid_object(message.object))?;
        let known = object.interface.requests.get(usize::from(message.opcode));
        let Some(desc) = known.filter(|desc| desc.since <= object.version) else {
            return Err(ClientError::display(
                display_error::INVALID_METHOD,
                format!(
                    "invalid method {}, object {}@{}",
                    message.opcode, object.interface.name, message.object
                ),
            ));
        };
        match object.role {
            Role::Registry => self.registry_request(message),
            Role::Shm => self.shm_request(message, fds),
            Role::ShmPool => self.pool_request(message),
            Role::Buffer if object.host.is_none() => self.buffer_request(message),
            Role::Surface => self.surface_request(message, desc, fds),
            Role::Viewporter | Role::Viewport => self.viewport_request(message, desc, fds),
            Role::Offer => self.offer_request(message, desc, fds),
            Role::Plain | Role::Display | Role::Buffer => self.forward_request(message, desc, fds),
        }
    }

    /// Handles one event of the host; `adopt` turns its descriptors into those
    /// of a client.
    ///
    /// # Errors
    /// [`HostError`], after which the connection cannot be continued.
    pub fn event<F>(
        &mut self,
        message: Message<'_>,
        fds: &mut VecDeque<F>,
        adopt: impl Fn(F) -> io::Result<OwnedFd>,
    ) -> Result<(), HostError> {
        self.dispatch_event(message, fds, adopt)
    }

    /// Tells the client why it is disconnected.
    pub fn fail(&mut self, error: &ClientError) {
        self.finished = true;
        self.to_client
            .message(DISPLAY_ID, DISPLAY_ERROR)
            .uint(error.object)
            .uint(error.code)
            .string(&error.text.replace('\0', " "))
            .done();
    }

    /// Frees the id of an object of which the host knows nothing.
    fn delete_local(&mut self, id: u32) -> Option<Data> {
        let object = self.objects.remove_local(id)?;
        self.to_client
            .message(DISPLAY_ID, DISPLAY_DELETE_ID)
            .uint(id)
            .done();
        Some(object.data)
    }

    /// The surface of `id`, if it is one that the client may use.
    fn surface_mut(&mut self, id: u32) -> Option<&mut Surface> {
        match &mut self.objects.get_mut(id).filter(|object| object.alive)?.data {
            Data::Surface(surface) => Some(surface),
            _ => None,
        }
    }

    fn reference(&self, id: u32) -> Option<ObjectRef> {
        self.objects.get_alive(id).map(|object| ObjectRef {
            id,
            serial: object.serial,
        })
    }
}

/// The arguments of `message`.
fn args<'a>(message: &Message<'a>) -> ArgReader<'a> {
    ArgReader::new(message.body)
}

#[cfg(test)]
mod tests;
