//! Which objects a client has, and whether its messages fit them.
//!
//! The display's backend is lenient where it matters: it waits for ever for
//! the rest of a message that is complete and too short, keeps descriptors that no
//! message takes, lets a client make objects in the server's range of ids, and its
//! generated code *panics* on a null string, which would end every VM's
//! windows. So each message is held against its signature before it goes on.

use std::collections::HashMap;

use smithay::reexports::wayland_protocols::wp::viewporter::server::wp_viewporter::WpViewporter;
use smithay::reexports::wayland_protocols::xdg::decoration::zv1::server::zxdg_decoration_manager_v1::ZxdgDecorationManagerV1;
use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_wm_base::XdgWmBase;
use wayland_backend::protocol::{AllowNull, ArgumentType, Interface, MessageDesc};
use wayland_server::Resource;
use wayland_server::protocol::__interfaces::{WL_DISPLAY_INTERFACE, WL_REGISTRY_INTERFACE};
use wayland_server::protocol::wl_compositor::WlCompositor;
use wayland_server::protocol::wl_data_device_manager::WlDataDeviceManager;
use wayland_server::protocol::wl_data_offer::WlDataOffer;
use wayland_server::protocol::wl_output::WlOutput;
use wayland_server::protocol::wl_seat::WlSeat;
use wayland_server::protocol::wl_shm::WlShm;
use wayland_server::protocol::wl_subcompositor::WlSubcompositor;

use super::{Message, Violation};

/// The display's id, which exists from the start.
const DISPLAY: u32 = 1;

/// First id that the server allocates. It makes data offers only; a test
/// holds that against the protocol files.
pub(super) const SERVER_IDS: u32 = 0xff00_0000;

/// Largest id of a client's object. Clients use freed ids again, so this bounds
/// the objects of one client, here and in the display's own table.
pub(super) const MAX_ID: u32 = 1 << 16;

/// Every global a display offers. A global missing here cannot be bound, which
/// a test would show.
fn global(name: &[u8]) -> Option<&'static Interface> {
    let globals = [
        WlCompositor::interface(),
        WlSubcompositor::interface(),
        WlShm::interface(),
        WlSeat::interface(),
        WlOutput::interface(),
        WlDataDeviceManager::interface(),
        XdgWmBase::interface(),
        ZxdgDecorationManagerV1::interface(),
        WpViewporter::interface(),
    ];
    globals
        .into_iter()
        .find(|global| global.name.as_bytes() == name)
}

/// A client's objects, as far as its requests tell. Ids that were freed stay
/// until they are used again: the display knows which those are.
#[derive(Debug)]
pub(super) struct Objects(HashMap<u32, &'static Interface>);

impl Default for Objects {
    fn default() -> Self {
        Self(HashMap::from([(DISPLAY, &WL_DISPLAY_INTERFACE)]))
    }
}

impl Objects {
    /// Checks a message and notes the object it makes. Answers how many
    /// descriptors it takes.
    pub(super) fn follow(&mut self, message: &Message<'_>) -> Result<usize, Violation> {
        let interface = match self.0.get(&message.object) {
            Some(interface) => *interface,
            None if message.object >= SERVER_IDS => WlDataOffer::interface(),
            None => return Err(Violation::Object(message.object)),
        };
        let request = interface.requests.get(usize::from(message.opcode));
        let request = request.ok_or(Violation::Opcode(interface.name, message.opcode))?;
        if interface.name == WL_REGISTRY_INTERFACE.name {
            return self.bind(message).map(|()| 0);
        }
        self.arguments(message, request)
    }

    fn arguments(
        &mut self,
        message: &Message<'_>,
        request: &'static MessageDesc,
    ) -> Result<usize, Violation> {
        let malformed = Violation::Arguments(request.name);
        let mut arguments = Arguments(message.arguments());
        let mut fds = 0;
        for argument in request.signature {
            match argument {
                ArgumentType::Fd => fds += 1,
                ArgumentType::Int | ArgumentType::Uint | ArgumentType::Fixed => {
                    arguments.word().ok_or(malformed)?;
                }
                ArgumentType::Object(null) => {
                    let id = arguments.word().ok_or(malformed)?;
                    if id == 0 && matches!(null, AllowNull::No) {
                        return Err(malformed);
                    }
                }
                ArgumentType::Str(null) => {
                    let text = arguments.array().ok_or(malformed)?;
                    if text.is_empty() && matches!(null, AllowNull::No) {
                        return Err(malformed);
                    }
                }
                ArgumentType::Array => {
                    arguments.array().ok_or(malformed)?;
                }
                ArgumentType::NewId => {
                    let id = arguments.word().ok_or(malformed)?;
                    // Only wl_registry.bind makes objects of any kind.
                    self.insert(id, request.child_interface.ok_or(malformed)?)?;
                }
            }
        }
        Ok(fds)
    }

    /// `wl_registry.bind`: name, interface, version, id.
    fn bind(&mut self, message: &Message<'_>) -> Result<(), Violation> {
        let malformed = Violation::Arguments("bind");
        let mut arguments = Arguments(message.arguments());
        arguments.word().ok_or(malformed)?;
        let interface = arguments
            .array()
            .and_then(|text| text.strip_suffix(b"\0"))
            .ok_or(malformed)?;
        arguments.word().ok_or(malformed)?;
        let id = arguments.word().ok_or(malformed)?;
        self.insert(id, global(interface).ok_or(Violation::Global)?)
    }

    fn insert(&mut self, id: u32, interface: &'static Interface) -> Result<(), Violation> {
        if id <= DISPLAY || id > MAX_ID {
            return Err(Violation::NewId(id));
        }
        self.0.insert(id, interface);
        Ok(())
    }
}

/// What is left of a message's arguments.
struct Arguments<'a>(&'a [u8]);

impl<'a> Arguments<'a> {
    fn word(&mut self) -> Option<u32> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_ne_bytes(*word))
    }

    /// A string or an array: length, bytes, padding to whole words.
    fn array(&mut self) -> Option<&'a [u8]> {
        let length = self.word()? as usize;
        let padded = length.checked_next_multiple_of(4)?;
        let (padded, rest) = self.0.split_at_checked(padded)?;
        self.0 = rest;
        padded.get(..length)
    }
}
