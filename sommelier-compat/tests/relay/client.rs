//! A client that notes what it is told.

use std::os::fd::OwnedFd;

use test_wayland_client::listen;
use wayland_client::globals::GlobalListContents;
use wayland_client::protocol::{
    wl_buffer, wl_callback, wl_compositor, wl_data_device, wl_data_device_manager, wl_data_offer,
    wl_data_source, wl_keyboard, wl_region, wl_registry, wl_seat, wl_shell, wl_shm, wl_shm_pool,
    wl_subcompositor, wl_subsurface, wl_surface,
};
use wayland_client::{Proxy as _, delegate_noop};

#[derive(Default)]
pub(crate) struct Client {
    pub globals: Vec<(u32, String, u32)>,
    pub removed: Vec<u32>,
    pub synced: usize,
    pub formats: Vec<u32>,
    /// Buffers in the order of their release.
    pub released: Vec<u32>,
    pub keymaps: Vec<(OwnedFd, u32)>,
    pub sends: Vec<(String, OwnedFd)>,
    pub offer: Option<wl_data_offer::WlDataOffer>,
}

listen! { Client:
    wl_registry::WlRegistry => |state, _, event| match event {
        wl_registry::Event::Global { name, interface, version } => {
            state.globals.push((name, interface, version));
        }
        wl_registry::Event::GlobalRemove { name } => state.removed.push(name),
        _ => {}
    };
    wl_registry::WlRegistry, GlobalListContents => |_, _, _, _| {};
    wl_callback::WlCallback => |state, _, _| state.synced += 1;
    wl_shm::WlShm => |state, _, event| if let wl_shm::Event::Format { format } = event {
        state.formats.push(format.into());
    };
    wl_buffer::WlBuffer => |state, buffer, _| state.released.push(buffer.id().protocol_id());
    wl_keyboard::WlKeyboard => |state, _, event| {
        if let wl_keyboard::Event::Keymap { fd, size, .. } = event {
            state.keymaps.push((fd, size));
        }
    };
    wl_data_source::WlDataSource => |state, _, event| {
        if let wl_data_source::Event::Send { mime_type, fd } = event {
            state.sends.push((mime_type, fd));
        }
    };
    wl_data_device::WlDataDevice => |state, _, event| {
        if let wl_data_device::Event::Selection { id } = event {
            state.offer = id;
        }
    }, creates [
        wl_data_device::EVT_DATA_OFFER_OPCODE => (wl_data_offer::WlDataOffer, ()),
    ];
}

delegate_noop!(Client: ignore wl_compositor::WlCompositor);
delegate_noop!(Client: ignore wl_subcompositor::WlSubcompositor);
delegate_noop!(Client: ignore wl_subsurface::WlSubsurface);
delegate_noop!(Client: ignore wl_surface::WlSurface);
delegate_noop!(Client: ignore wl_shm_pool::WlShmPool);
delegate_noop!(Client: ignore wl_seat::WlSeat);
delegate_noop!(Client: ignore wl_data_device_manager::WlDataDeviceManager);
delegate_noop!(Client: ignore wl_data_offer::WlDataOffer);
delegate_noop!(Client: ignore wl_region::WlRegion);
delegate_noop!(Client: ignore wl_shell::WlShell);
