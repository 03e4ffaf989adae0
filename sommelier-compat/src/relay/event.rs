//! Events that are forwarded, and the two of `wl_display` that concern the
//! relay itself.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use wayland_backend::protocol::{AllowNull, ArgumentType, MessageDesc};

use super::opcode::{
    BUFFER_RELEASE, DISPLAY_DELETE_ID, DISPLAY_ERROR, REGISTRY_GLOBAL, REGISTRY_GLOBAL_REMOVE,
    SHM_FORMAT,
};
use super::{HostError, Relay, args};
use crate::objects::{HostObject, Role};
use crate::wire::{ArgReader, BadMessage, DISPLAY_ID, Message};

impl Relay {
    pub(super) fn dispatch_event<F>(
        &mut self,
        message: Message<'_>,
        fds: &mut VecDeque<F>,
        adopt: impl Fn(F) -> io::Result<OwnedFd>,
    ) -> Result<(), HostError> {
        let unknown = HostError::UnknownObject(message.object);
        let client = match self.objects.by_host(message.object).ok_or(unknown)? {
            HostObject::Client(id) => id,
            HostObject::OwnBuffer(key) => {
                if message.opcode == BUFFER_RELEASE {
                    self.buffer_released(key);
                }
                return Ok(());
            }
            // Neither a pool nor a dead buffer has an event with a descriptor
            // or a new object, so there is nothing to keep in step.
            HostObject::OwnPool | HostObject::OwnDead => return Ok(()),
        };
        let object = self.objects.get(client);
        let object = object.ok_or(HostError::UnknownObject(message.object))?;
        let desc = object
            .interface
            .events
            .get(usize::from(message.opcode))
            .ok_or(HostError::UnknownEvent {
                interface: object.interface.name,
                opcode: message.opcode,
            })?;
        match (object.role, message.opcode) {
            (Role::Display, DISPLAY_ERROR) => self.display_error(message),
            (Role::Display, DISPLAY_DELETE_ID) => self.display_delete_id(message),
            (Role::Registry, REGISTRY_GLOBAL) => self.registry_global(client, message),
            (Role::Registry, REGISTRY_GLOBAL_REMOVE) => {
                self.registry_global_remove(client, message)
            }
            (Role::Shm, SHM_FORMAT) => self.shm_format(client, message),
            _ => self.forward_event(client, message, desc, fds, adopt),
        }
    }

    /// Forwards an event, also of an object that the client has destroyed:
    /// clients expect those until `delete_id` and skip them themselves.
    fn forward_event<F>(
        &mut self,
        client: u32,
        message: Message<'_>,
        desc: &MessageDesc,
        fds: &mut VecDeque<F>,
        adopt: impl Fn(F) -> io::Result<OwnedFd>,
    ) -> Result<(), HostError> {
        let Self {
            objects, to_client, ..
        } = self;
        let version = objects.get(client).map_or(1, |object| object.version);
        let mut draft = to_client.copy(client, message.opcode, message.body);
        let mut args = ArgReader::new(message.body);
        for arg in desc.signature {
            let at = args.position();
            match arg {
                ArgumentType::Int | ArgumentType::Uint | ArgumentType::Fixed => {
                    args.uint()?;
                }
                ArgumentType::Str(_) => {
                    args.string()?;
                }
                ArgumentType::Array => {
                    args.array()?;
                }
                ArgumentType::Object(null) => match args.uint()? {
                    0 if *null == AllowNull::Yes => {}
                    0 => return Err(BadMessage::Null.into()),
                    id => match objects.by_host(id) {
                        Some(HostObject::Client(id)) => draft.set_word(at, id),
                        _ => return Err(HostError::UnknownObject(id)),
                    },
                },
                ArgumentType::NewId => {
                    let id = args.uint()?;
                    let interface = desc.child_interface.ok_or(HostError::UnknownObject(id))?;
                    objects.create_by_host(id, interface, version)?;
                }
                ArgumentType::Fd => {
                    let fd = fds.pop_front().ok_or(HostError::MissingFd)?;
                    draft.fd(adopt(fd).map_err(HostError::Fd)?);
                }
            }
        }
        args.finish()?;
        draft.keep();
        if desc.is_destructor
            && let Some(object) = objects.get_mut(client)
        {
            object.alive = false;
        }
        Ok(())
    }

    /// The host ends the connection; the error is about an object of the
    /// client's, or about one of ours that stands for it.
    fn display_error(&mut self, message: Message<'_>) -> Result<(), HostError> {
        let mut args = args(&message);
        let (object, code) = (args.uint()?, args.uint()?);
        let text = args.string()?.unwrap_or_default();
        let object = match self.objects.by_host(object) {
            Some(HostObject::Client(id)) => id,
            Some(HostObject::OwnBuffer(key)) => self.buffers.owner(key).unwrap_or(DISPLAY_ID),
            Some(HostObject::OwnPool | HostObject::OwnDead) | None => DISPLAY_ID,
        };
        self.finished = true;
        self.to_client
            .message(DISPLAY_ID, DISPLAY_ERROR)
            .uint(object)
            .uint(code)
            .string(&String::from_utf8_lossy(text))
            .done();
        Ok(())
    }

    /// The host has forgotten an object.
    fn display_delete_id(&mut self, message: Message<'_>) -> Result<(), HostError> {
        let id = args(&message).uint()?;
        let owner = self
            .objects
            .host_deleted(id)
            .ok_or(HostError::UnknownObject(id))?;
        if let HostObject::Client(client) = owner {
            self.to_client
                .message(DISPLAY_ID, DISPLAY_DELETE_ID)
                .uint(client)
                .done();
        }
        Ok(())
    }
}
