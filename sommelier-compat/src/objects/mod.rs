//! Which object is what, on both sides.
//!
//! The relay is a server to its client and a client to the host, and it owns
//! host objects of its own (the pools and buffers that stand in for the
//! client's). Both servers demand that a client allocate ids without gaps, so
//! the two id spaces cannot be the same: ids are translated. Ids allocated by
//! the host (from [`SERVER_ID_BASE`]) are the same on both sides, for the relay
//! creates no server-side objects.
//!
//! Lifetime follows the protocol: an object that its client destroyed stays in
//! the table, dead, until the host confirms with `wl_display.delete_id`, so
//! that events already under way still find their signature.

pub mod globals;
mod role;

use wayland_backend::protocol::Interface;
use wayland_client::Proxy;
use wayland_client::protocol::wl_display::WlDisplay;

use crate::wire::{DISPLAY_ID, SERVER_ID_BASE};

pub use role::Role;

/// Objects one client may have at a time, of each origin. Ordinary clients stay
/// below a few thousand; the limit bounds the memory of a hostile one.
pub const MAX_OBJECTS: usize = 1 << 16;

/// An object as its client knows it.
#[derive(Debug)]
pub struct Object<D> {
    /// Its messages.
    pub interface: &'static Interface,
    /// The version it was created with.
    pub version: u32,
    /// How the relay treats it.
    pub role: Role,
    /// Its id on the host; `None` for objects that exist only in the relay.
    pub host: Option<u32>,
    /// False once destroyed and waiting for `delete_id`.
    pub alive: bool,
    /// Never used twice in one connection, unlike ids.
    pub serial: u64,
    /// What the relay keeps about it.
    pub data: D,
}

/// Who a host object belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostObject {
    /// It is the counterpart of this client object.
    Client(u32),
    /// The relay's own buffer, by its key.
    OwnBuffer(usize),
    /// The relay's own pool.
    OwnPool,
    /// Destroyed by the relay, not yet confirmed.
    OwnDead,
}

/// Why an object could not be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// In use, leaving a gap, or of the other side's range.
    #[error("invalid new id {0}")]
    Invalid(u32),
    /// The limit of objects is reached.
    #[error("too many objects")]
    TooMany,
}

/// The tables of one connection.
#[derive(Debug)]
pub struct Objects<D> {
    /// Client-allocated objects; id `n` at index `n - 1`.
    client: Vec<Option<Object<D>>>,
    /// Host-allocated objects; id `SERVER_ID_BASE + n` at index `n`.
    server: Vec<Option<Object<D>>>,
    /// What we allocated on the host; id `n` at index `n - 1`.
    host: Vec<Option<HostObject>>,
    /// Free entries of `host` below its length.
    free: Vec<u32>,
    next_serial: u64,
}

impl<D: Default> Default for Objects<D> {
    fn default() -> Self {
        let display = WlDisplay::interface();
        let mut objects = Self {
            client: Vec::new(),
            server: Vec::new(),
            host: Vec::new(),
            free: Vec::new(),
            next_serial: 0,
        };
        let display_object = objects.object(display, 1, Some(DISPLAY_ID));
        objects.client.push(Some(display_object));
        objects.host.push(Some(HostObject::Client(DISPLAY_ID)));
        objects
    }
}

impl<D: Default> Objects<D> {
    /// An object by the id its client uses, dead ones included.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&Object<D>> {
        self.slot(id)?.as_ref()
    }

    /// Like [`get`](Self::get), to change it.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut Object<D>> {
        let (table, index) = match id.checked_sub(SERVER_ID_BASE) {
            Some(index) => (&mut self.server, index as usize),
            None => (&mut self.client, (id as usize).wrapping_sub(1)),
        };
        table.get_mut(index)?.as_mut()
    }

    /// An object that the client may still use.
    #[must_use]
    pub fn get_alive(&self, id: u32) -> Option<&Object<D>> {
        self.get(id).filter(|object| object.alive)
    }

    /// Creates a client-allocated object, with a counterpart on the host.
    ///
    /// Returns the id on the host.
    ///
    /// # Errors
    /// [`BadId`] when the client may not use this id now.
    pub fn create(
        &mut self,
        id: u32,
        interface: &'static Interface,
        version: u32,
    ) -> Result<u32, BadId> {
        self.check_free(id)?;
        let host = self.allocate_host(HostObject::Client(id));
        self.put_client(id, interface, version, Some(host));
        Ok(host)
    }

    /// Creates a client-allocated object of which the host knows nothing.
    ///
    /// # Errors
    /// [`BadId`] when the client may not use this id now.
    pub fn create_local(
        &mut self,
        id: u32,
        interface: &'static Interface,
        version: u32,
    ) -> Result<&mut Object<D>, BadId> {
        self.check_free(id)?;
        Ok(self.put_client(id, interface, version, None))
    }

    /// Records an object that the host created in an event.
    ///
    /// The host may reuse an id as soon as the client has destroyed the object,
    /// without `delete_id`, and it alone knows when: a previous object is
    /// replaced.
    ///
    /// # Errors
    /// [`BadId`] when the id is not of the host's range or leaves a gap.
    pub fn create_by_host(
        &mut self,
        id: u32,
        interface: &'static Interface,
        version: u32,
    ) -> Result<(), BadId> {
        let index = id.checked_sub(SERVER_ID_BASE).ok_or(BadId::Invalid(id))? as usize;
        if index > self.server.len() {
            return Err(BadId::Invalid(id));
        }
        if index >= MAX_OBJECTS {
            return Err(BadId::TooMany);
        }
        let object = self.object(interface, version, Some(id));
        if index == self.server.len() {
            self.server.push(Some(object));
        } else {
            self.server[index] = Some(object);
        }
        Ok(())
    }

    /// Forgets a client-allocated object at once, for objects without a
    /// counterpart.
    pub fn remove_local(&mut self, id: u32) -> Option<Object<D>> {
        let object = self.client.get_mut((id as usize).checked_sub(1)?)?;
        object.take_if(|object| object.host.is_none())
    }

    /// Who the host means by `id`.
    #[must_use]
    pub fn by_host(&self, id: u32) -> Option<HostObject> {
        if id >= SERVER_ID_BASE {
            return self.get(id).map(|_| HostObject::Client(id));
        }
        *self.host.get((id as usize).checked_sub(1)?)?
    }

    /// Reserves an id on the host.
    pub fn allocate_host(&mut self, object: HostObject) -> u32 {
        if let Some(id) = self.free.pop() {
            self.host[id as usize - 1] = Some(object);
            return id;
        }
        self.host.push(Some(object));
        self.host.len() as u32
    }

    /// Says that the relay destroyed an object of its own.
    pub fn own_destroyed(&mut self, host: u32) {
        if let Some(entry) = self.host.get_mut(host as usize - 1) {
            *entry = Some(HostObject::OwnDead);
        }
    }

    /// The host confirmed that `id` is free; returns who had it, and forgets
    /// the client's object.
    pub fn host_deleted(&mut self, id: u32) -> Option<HostObject> {
        let index = (id as usize).checked_sub(1).filter(|_| id != DISPLAY_ID)?;
        let owner = self.host.get_mut(index)?.take()?;
        self.free.push(id);
        if let HostObject::Client(client) = owner {
            self.client[client as usize - 1] = None;
        }
        Some(owner)
    }

    fn slot(&self, id: u32) -> Option<&Option<Object<D>>> {
        match id.checked_sub(SERVER_ID_BASE) {
            Some(index) => self.server.get(index as usize),
            None => self.client.get((id as usize).checked_sub(1)?),
        }
    }

    fn check_free(&self, id: u32) -> Result<(), BadId> {
        let index = (id as usize).checked_sub(1).ok_or(BadId::Invalid(id))?;
        match self.client.get(index) {
            Some(None) => Ok(()),
            Some(Some(_)) => Err(BadId::Invalid(id)),
            None if index > self.client.len() => Err(BadId::Invalid(id)),
            None if index >= MAX_OBJECTS => Err(BadId::TooMany),
            None => Ok(()),
        }
    }

    fn put_client(
        &mut self,
        id: u32,
        interface: &'static Interface,
        version: u32,
        host: Option<u32>,
    ) -> &mut Object<D> {
        let object = self.object(interface, version, host);
        let index = id as usize - 1;
        if index == self.client.len() {
            self.client.push(None);
        }
        self.client[index].insert(object)
    }

    fn object(
        &mut self,
        interface: &'static Interface,
        version: u32,
        host: Option<u32>,
    ) -> Object<D> {
        self.next_serial += 1;
        Object {
            interface,
            version,
            role: Role::of(interface),
            host,
            alive: true,
            serial: self.next_serial,
            data: D::default(),
        }
    }
}

#[cfg(test)]
mod tests;
