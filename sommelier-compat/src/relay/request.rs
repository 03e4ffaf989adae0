//! Requests that are forwarded: ids translated, new objects noted, descriptors
//! passed along.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use wayland_backend::protocol::{
    ANONYMOUS_INTERFACE, AllowNull, ArgumentType, Interface, MessageDesc, same_interface,
};

use super::{ClientError, Data, Relay, display_error};
use crate::objects::{Objects, Role};
use crate::wire::{ArgReader, BadMessage, Message};

impl Relay {
    /// Forwards a request of a living object, checking its arguments as the
    /// host would: an error must cost the client the right message, and must
    /// not leave the tables different from the host's.
    pub(super) fn forward_request(
        &mut self,
        message: Message<'_>,
        desc: &MessageDesc,
        fds: &mut VecDeque<OwnedFd>,
    ) -> Result<(), ClientError> {
        let Self {
            objects, to_host, ..
        } = self;
        let sender = objects.get_alive(message.object);
        let sender = sender.ok_or_else(|| ClientError::invalid_object(message.object))?;
        let host = sender.host.ok_or_else(|| not_forwardable(message.object))?;
        let version = sender.version;

        let mut draft = to_host.copy(host, message.opcode, message.body);
        let mut args = ArgReader::new(message.body);
        let mut arg_interfaces = desc.arg_interfaces.iter();
        let mut created = None;
        for arg in desc.signature {
            let at = args.position();
            match arg {
                ArgumentType::Int | ArgumentType::Uint | ArgumentType::Fixed => {
                    args.uint()?;
                }
                ArgumentType::Str(null) => {
                    if args.string()?.is_none() && *null == AllowNull::No {
                        return Err(BadMessage::Null.into());
                    }
                }
                ArgumentType::Array => {
                    args.array()?;
                }
                ArgumentType::Object(null) => {
                    let wanted = arg_interfaces.next().copied();
                    match args.uint()? {
                        0 if *null == AllowNull::Yes => {}
                        0 => return Err(BadMessage::Null.into()),
                        id => draft.set_word(at, argument(objects, id, wanted)?),
                    }
                }
                ArgumentType::NewId => {
                    let id = args.uint()?;
                    let interface = desc.child_interface.ok_or_else(|| not_forwardable(id))?;
                    draft.set_word(at, objects.create(id, interface, version)?);
                    created = Some(id);
                }
                ArgumentType::Fd => {
                    let fd = fds.pop_front().ok_or_else(missing_fd)?;
                    draft.fd(fd);
                }
            }
        }
        args.finish()?;
        draft.keep();
        if let Some(id) = created {
            self.note_created(id);
        }
        if desc.is_destructor {
            self.note_destroyed(message.object);
        }
        Ok(())
    }

    /// Gives a new object what the relay wants to remember of it.
    fn note_created(&mut self, id: u32) {
        if let Some(object) = self.objects.get_mut(id)
            && object.role == Role::Surface
        {
            object.data = Data::Surface(Box::default());
        }
    }

    fn note_destroyed(&mut self, id: u32) {
        if let Some(object) = self.objects.get_mut(id) {
            object.alive = false;
            object.data = Data::None;
        }
    }
}

/// The host's id of an object that the client passes as an argument.
fn argument(
    objects: &Objects<Data>,
    id: u32,
    wanted: Option<&'static Interface>,
) -> Result<u32, ClientError> {
    let object = objects
        .get_alive(id)
        .ok_or_else(|| ClientError::invalid_object(id))?;
    let fits = wanted.is_none_or(|wanted| {
        same_interface(wanted, &ANONYMOUS_INTERFACE) || same_interface(wanted, object.interface)
    });
    if !fits {
        return Err(ClientError::invalid_object(id));
    }
    object.host.ok_or_else(|| not_forwardable(id))
}

/// An object without a counterpart in a request that the relay does not
/// rewrite. The allow-list leaves no such request (there is a test), so this is
/// a client that passes a wrong object.
fn not_forwardable(id: u32) -> ClientError {
    ClientError::invalid_object(id)
}

pub(super) fn missing_fd() -> ClientError {
    ClientError::display(
        display_error::INVALID_METHOD,
        "request without its file descriptor",
    )
}
