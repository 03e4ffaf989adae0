//! A well-behaved client that records what it hears.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

use memfd::MemfdOptions;
use test_wayland_client::listen;
use wayland_client::backend::ObjectId;
use wayland_client::protocol::{
    wl_buffer, wl_callback, wl_compositor, wl_data_device, wl_data_device_manager, wl_data_offer,
    wl_data_source, wl_keyboard, wl_output, wl_pointer, wl_region, wl_registry, wl_seat, wl_shm,
    wl_shm_pool, wl_subcompositor, wl_subsurface, wl_surface, wl_touch,
};
use wayland_client::{Connection, Dispatch, EventQueue, Proxy, QueueHandle, delegate_noop};
use wayland_protocols::wp::viewporter::client::{wp_viewport, wp_viewporter};
use wayland_protocols::xdg::decoration::zv1::client::{
    zxdg_decoration_manager_v1, zxdg_toplevel_decoration_v1,
};
use wayland_protocols::xdg::shell::client::{
    xdg_popup, xdg_positioner, xdg_surface, xdg_toplevel, xdg_wm_base,
};

/// Versions a client of today binds; the compositor may offer less.
const MAX_VERSION: u32 = 6;

/// One connection with everything bound.
pub(super) struct Client {
    connection: Option<Connection>,
    queue: EventQueue<State>,
    pub(super) state: State,
    /// Why the connection ended.
    pub(super) error: Option<String>,
    synced: u32,
}

/// What the client has, and what it heard.
#[derive(Default)]
pub(super) struct State {
    pub(super) globals: Vec<(u32, String, u32)>,
    pub(super) bound: Option<Bound>,
    pub(super) keyboard: Vec<wl_keyboard::Event>,
    pub(super) pointer: Vec<wl_pointer::Event>,
    pub(super) output: Vec<wl_output::Event>,
    pub(super) data_device: Vec<wl_data_device::Event>,
    pub(super) offers: HashMap<ObjectId, (wl_data_offer::WlDataOffer, Vec<String>)>,
    pub(super) data_source: Vec<wl_data_source::Event>,
    pub(super) surface: Vec<(ObjectId, wl_surface::Event)>,
    /// Last serial of each xdg_surface.
    pub(super) configured: HashMap<ObjectId, u32>,
    pub(super) toplevel: Vec<(ObjectId, xdg_toplevel::Event)>,
    pub(super) popup: Vec<(ObjectId, xdg_popup::Event)>,
    /// Buffers given back, in order.
    pub(super) released: Vec<ObjectId>,
    pub(super) decoration: Vec<zxdg_toplevel_decoration_v1::Event>,
    /// Frame callbacks that came.
    pub(super) frames: usize,
    done: HashSet<u32>,
}

/// The globals.
#[derive(Clone)]
pub(super) struct Bound {
    pub(super) compositor: wl_compositor::WlCompositor,
    pub(super) subcompositor: wl_subcompositor::WlSubcompositor,
    pub(super) shm: wl_shm::WlShm,
    pub(super) seat: wl_seat::WlSeat,
    pub(super) keyboard: wl_keyboard::WlKeyboard,
    pub(super) wm_base: xdg_wm_base::XdgWmBase,
    pub(super) viewporter: wp_viewporter::WpViewporter,
    pub(super) data_manager: wl_data_device_manager::WlDataDeviceManager,
    pub(super) data_device: wl_data_device::WlDataDevice,
    pub(super) decoration: zxdg_decoration_manager_v1::ZxdgDecorationManagerV1,
}

/// A toplevel of a [`Client`].
#[derive(Clone)]
pub(super) struct Window {
    pub(super) surface: wl_surface::WlSurface,
    pub(super) xdg: xdg_surface::XdgSurface,
    pub(super) toplevel: xdg_toplevel::XdgToplevel,
}

/// Which callback this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callback {
    Sync(u32),
    Frame,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> Self {
        let connection = Connection::from_socket(stream).unwrap();
        let queue = connection.new_event_queue();
        connection.display().get_registry(&queue.handle(), ());
        Self {
            connection: Some(connection),
            queue,
            state: State::default(),
            error: None,
            synced: 0,
        }
    }

    pub(super) fn handle(&self) -> QueueHandle<State> {
        self.queue.handle()
    }

    pub(super) fn bound(&self) -> Bound {
        self.state.bound.clone().expect("globals are bound")
    }

    /// Sends, receives, dispatches; never blocks.
    pub(super) fn pump(&mut self) {
        if self.connection.is_none() || self.error.is_some() {
            return;
        }
        if let Err(error) = self.try_pump() {
            self.error = Some(error);
        }
    }

    fn try_pump(&mut self) -> Result<(), String> {
        let would_block = |error: &wayland_client::backend::WaylandError| {
            matches!(error, wayland_client::backend::WaylandError::Io(io)
                if io.kind() == std::io::ErrorKind::WouldBlock)
        };
        let flushed = self.queue.flush();
        if let Some(guard) = self.queue.prepare_read() {
            match guard.read() {
                Err(error) if !would_block(&error) => return Err(error.to_string()),
                _ => {}
            }
        }
        self.queue
            .dispatch_pending(&mut self.state)
            .map_err(|error| error.to_string())?;
        match flushed {
            Err(error) if !would_block(&error) => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    pub(super) fn disconnect(&mut self) {
        self.state = State::default();
        self.connection = None;
        // The queue holds the connection open, too.
        let (end, _) = UnixStream::pair().unwrap();
        self.queue = Connection::from_socket(end).unwrap().new_event_queue();
    }

    /// Asks for an answer to everything said so far.
    pub(super) fn sync(&mut self) -> u32 {
        self.synced += 1;
        let connection = self.connection.as_ref().expect("connected");
        connection
            .display()
            .sync(&self.queue.handle(), Callback::Sync(self.synced));
        self.synced
    }

    pub(super) fn is_synced(&self, token: &u32) -> bool {
        self.state.done.contains(token)
    }

    /// Binds every global this client knows.
    pub(super) fn bind_all(&mut self) {
        let handle = self.queue.handle();
        let connection = self.connection.as_ref().expect("connected");
        let registry = connection.display().get_registry(&handle, ());
        let globals = &self.state.globals;
        let seat: wl_seat::WlSeat = bind(globals, &registry, &handle);
        seat.get_pointer(&handle, ());
        let data_manager: wl_data_device_manager::WlDataDeviceManager =
            bind(globals, &registry, &handle);
        let bound = Bound {
            compositor: bind(globals, &registry, &handle),
            subcompositor: bind(globals, &registry, &handle),
            shm: bind(globals, &registry, &handle),
            keyboard: seat.get_keyboard(&handle, ()),
            wm_base: bind(globals, &registry, &handle),
            viewporter: bind(globals, &registry, &handle),
            data_device: data_manager.get_data_device(&seat, &handle, ()),
            decoration: bind(globals, &registry, &handle),
            seat,
            data_manager,
        };
        let _: wl_output::WlOutput = bind(globals, &registry, &handle);
        self.state.bound = Some(bound);
    }

    /// A buffer of `w`×`h` XRGB pixels, filled by `pattern`.
    pub(super) fn buffer(
        &self,
        w: i32,
        h: i32,
        pattern: impl Fn(i32, i32) -> u32,
    ) -> wl_buffer::WlBuffer {
        let (_, pool) = self.pool(i64::from(w * h * 4), &pixels(w, h, pattern));
        let buffer =
            pool.create_buffer(0, w, h, w * 4, wl_shm::Format::Xrgb8888, &self.handle(), ());
        pool.destroy();
        buffer
    }

    /// A pool of `size` bytes that starts with `content`.
    pub(super) fn pool(&self, size: i64, content: &[u8]) -> (File, wl_shm_pool::WlShmPool) {
        let file = memory(size as u64);
        file.write_all_at(content, 0).unwrap();
        let pool = self.bound().shm.create_pool(
            file.as_fd(),
            i32::try_from(size).unwrap(),
            &self.handle(),
            (),
        );
        (file, pool)
    }

    /// A surface that is a toplevel, committed without a buffer.
    pub(super) fn toplevel(&self, title: &str) -> Window {
        let bound = self.bound();
        let handle = self.handle();
        let surface = bound.compositor.create_surface(&handle, ());
        let xdg = bound.wm_base.get_xdg_surface(&surface, &handle, ());
        let toplevel = xdg.get_toplevel(&handle, ());
        toplevel.set_title(title.to_owned());
        toplevel.set_app_id("test".to_owned());
        surface.commit();
        Window {
            surface,
            xdg,
            toplevel,
        }
    }

    /// Whether an xdg_surface was configured; acknowledges it.
    pub(super) fn acknowledge(&mut self, xdg: &xdg_surface::XdgSurface) -> bool {
        match self.state.configured.remove(&xdg.id()) {
            Some(serial) => {
                xdg.ack_configure(serial);
                true
            }
            None => false,
        }
    }
}

/// Memory of `size` bytes.
pub(super) fn memory(size: u64) -> File {
    let memory = MemfdOptions::default()
        .allow_sealing(true)
        .create("test")
        .unwrap();
    memory.as_file().set_len(size).unwrap();
    memory.into_file()
}

/// The bytes of a picture as wl_shm wants them.
pub(super) fn pixels(w: i32, h: i32, pattern: impl Fn(i32, i32) -> u32) -> Vec<u8> {
    (0..h)
        .flat_map(|y| (0..w).map(move |x| (x, y)))
        .flat_map(|(x, y)| pattern(x, y).to_le_bytes())
        .collect()
}

fn bind<I>(
    globals: &[(u32, String, u32)],
    registry: &wl_registry::WlRegistry,
    handle: &QueueHandle<State>,
) -> I
where
    I: Proxy + 'static,
    State: Dispatch<I, ()>,
{
    let wanted = I::interface().name;
    let (name, _, version) = globals
        .iter()
        .find(|(_, interface, _)| interface == wanted)
        .unwrap_or_else(|| panic!("{wanted} is not offered"));
    registry.bind(
        *name,
        (*version).min(MAX_VERSION).min(I::interface().version),
        handle,
        (),
    )
}

listen! { State:
    wl_registry::WlRegistry => |state, _, event| match event {
        wl_registry::Event::Global { name, interface, version } => {
            state.globals.push((name, interface, version));
        }
        wl_registry::Event::GlobalRemove { name } => {
            state.globals.retain(|(known, ..)| *known != name)
        }
        _ => {}
    };
    wl_callback::WlCallback, Callback => |state, _, _, callback| match callback {
        Callback::Sync(token) => {
            state.done.insert(*token);
        }
        Callback::Frame => state.frames += 1,
    };
    wl_keyboard::WlKeyboard => |state, _, event| state.keyboard.push(event);
    wl_pointer::WlPointer => |state, _, event| state.pointer.push(event);
    wl_data_source::WlDataSource => |state, _, event| state.data_source.push(event);
    wl_surface::WlSurface => |state, object, event| state.surface.push((object.id(), event));
    xdg_toplevel::XdgToplevel => |state, object, event| state.toplevel.push((object.id(), event));
    xdg_popup::XdgPopup => |state, object, event| state.popup.push((object.id(), event));
    zxdg_toplevel_decoration_v1::ZxdgToplevelDecorationV1 => |state, _, event| {
        state.decoration.push(event);
    };
    wl_buffer::WlBuffer => |state, object, _| state.released.push(object.id());
    xdg_wm_base::XdgWmBase => |_, object, event| {
        if let xdg_wm_base::Event::Ping { serial } = event {
            object.pong(serial);
        }
    };
    xdg_surface::XdgSurface => |state, object, event| {
        if let xdg_surface::Event::Configure { serial } = event {
            state.configured.insert(object.id(), serial);
        }
    };
    wl_data_offer::WlDataOffer => |state, object, event| {
        if let wl_data_offer::Event::Offer { mime_type } = event {
            let offer = || (object.clone(), Vec::new());
            state.offers.entry(object.id()).or_insert_with(offer).1.push(mime_type);
        }
    };
    wl_output::WlOutput => |state, _, event| state.output.push(event);
    wl_data_device::WlDataDevice => |state, _, event| state.data_device.push(event), creates [
        wl_data_device::EVT_DATA_OFFER_OPCODE => (wl_data_offer::WlDataOffer, ()),
    ];
}

delegate_noop!(State: ignore wl_compositor::WlCompositor);
delegate_noop!(State: ignore wl_subcompositor::WlSubcompositor);
delegate_noop!(State: ignore wl_subsurface::WlSubsurface);
delegate_noop!(State: ignore wl_region::WlRegion);
delegate_noop!(State: ignore wl_shm::WlShm);
delegate_noop!(State: ignore wl_shm_pool::WlShmPool);
delegate_noop!(State: ignore wl_seat::WlSeat);
delegate_noop!(State: ignore wl_touch::WlTouch);
delegate_noop!(State: ignore wl_data_device_manager::WlDataDeviceManager);
delegate_noop!(State: ignore wp_viewporter::WpViewporter);
delegate_noop!(State: ignore wp_viewport::WpViewport);
delegate_noop!(State: ignore xdg_positioner::XdgPositioner);
delegate_noop!(State: ignore zxdg_decoration_manager_v1::ZxdgDecorationManagerV1);
