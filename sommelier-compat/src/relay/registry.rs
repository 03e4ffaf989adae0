//! The allow-list: a client sees, and may bind, only what the relay
//! understands.

use std::collections::HashMap;

use super::{ClientError, HostError, Relay, args, display_error};
use crate::objects::globals::{self, Global};
use crate::relay::opcode::{REGISTRY_BIND, REGISTRY_GLOBAL, REGISTRY_GLOBAL_REMOVE};
use crate::wire::{BadMessage, Message};

/// Globals of the host remembered for one client; far more than any compositor
/// has, but a bound.
const MAX_GLOBALS: usize = 4096;

/// `wl_compositor` before surfaces got `damage_buffer`.
const LAST_WITHOUT_DAMAGE_BUFFER: u32 = 3;

/// The globals announced to a client.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// By the host's name for them. A removed global stays, since a client may
    /// bind it before it knows; hosts do not reuse names soon.
    globals: HashMap<u32, Announced>,
    /// Clients get no `wl_surface.damage_buffer`.
    pub(super) no_damage_buffer: bool,
}

#[derive(Clone, Copy, Debug)]
struct Announced {
    global: Global,
    version: u32,
}

impl Relay {
    /// `wl_registry.global`: forwarded when allowed, with a version that the
    /// relay understands.
    pub(super) fn registry_global(
        &mut self,
        registry: u32,
        message: Message<'_>,
    ) -> Result<(), HostError> {
        let mut args = args(&message);
        let name = args.uint()?;
        let interface = args.string()?.ok_or(BadMessage::Null)?;
        let version_at = args.position();
        let offered = args.uint()?;
        args.finish()?;
        let Some(global) = globals::find(interface) else {
            tracing::debug!(interface = %interface.escape_ascii(), "hide a global");
            return Ok(());
        };
        let limit = match interface {
            b"wl_compositor" if self.registry.no_damage_buffer => LAST_WITHOUT_DAMAGE_BUFFER,
            _ => global.max_version,
        };
        let version = offered.min(limit);
        let globals = &mut self.registry.globals;
        if version == 0 || (globals.len() >= MAX_GLOBALS && !globals.contains_key(&name)) {
            return Ok(());
        }
        globals.insert(name, Announced { global, version });
        let mut draft = self.to_client.copy(registry, REGISTRY_GLOBAL, message.body);
        draft.set_word(version_at, version);
        draft.keep();
        Ok(())
    }

    /// `wl_registry.global_remove`: forwarded when the client knows it.
    pub(super) fn registry_global_remove(
        &mut self,
        registry: u32,
        message: Message<'_>,
    ) -> Result<(), HostError> {
        let name = args(&message).uint()?;
        if self.registry.globals.contains_key(&name) {
            self.to_client
                .message(registry, REGISTRY_GLOBAL_REMOVE)
                .uint(name)
                .done();
        }
        Ok(())
    }

    /// `wl_registry.bind`, the only request whose new object may be of any
    /// interface.
    pub(super) fn registry_request(&mut self, message: Message<'_>) -> Result<(), ClientError> {
        debug_assert_eq!(message.opcode, REGISTRY_BIND, "the only request");
        let mut args = args(&message);
        let name = args.uint()?;
        let interface = args.string()?.ok_or(BadMessage::Null)?;
        let version = args.uint()?;
        let id_at = args.position();
        let id = args.uint()?;
        args.finish()?;

        let refuse = |what: &str| {
            let text = format!("{what} for global {} ({name})", interface.escape_ascii());
            Err(ClientError::display(display_error::INVALID_OBJECT, text))
        };
        let Some(announced) = self.registry.globals.get(&name) else {
            return refuse("invalid name");
        };
        if announced.global.interface.name.as_bytes() != interface {
            return refuse("invalid interface");
        }
        if version == 0 || version > announced.version {
            return refuse("invalid version");
        }
        let Some(host) = self
            .objects
            .get(message.object)
            .and_then(|object| object.host)
        else {
            return Err(ClientError::invalid_object(message.object));
        };
        let new = self
            .objects
            .create(id, announced.global.interface, version)?;
        let mut draft = self.to_host.copy(host, REGISTRY_BIND, message.body);
        draft.set_word(id_at, new);
        draft.keep();
        Ok(())
    }
}
