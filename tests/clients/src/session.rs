//! A connection with the globals every client here wants, and the events it has seen.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result};
use test_wayland_client::listen;
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::{
    wl_buffer, wl_callback, wl_compositor, wl_keyboard, wl_region, wl_registry, wl_seat, wl_shm,
    wl_shm_pool, wl_surface,
};
use wayland_client::{Connection, EventQueue, Proxy, QueueHandle, WEnum, delegate_noop};
use wayland_protocols::xdg::shell::client::{xdg_surface, xdg_toplevel, xdg_wm_base};

/// Version of wl_compositor: the first with damage in buffer coordinates.
const COMPOSITOR_VERSION: u32 = 4;
/// Version of wl_seat: enough for a keymap, and offered by every compositor in use.
const SEAT_VERSION: u32 = 5;

/// What the compositor has said so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// The toplevel may be drawn.
    pub configured: bool,
    /// The compositor asked the window to close.
    pub closed: bool,
    /// Frame callbacks that have come.
    pub frames: u32,
    /// Numbers of the buffers that may be drawn into again.
    pub released: BTreeSet<usize>,
    /// The keymap with its size in bytes.
    pub keymap: Option<(OwnedFd, u32)>,
}

/// A connection with the globals of a simple client.
#[derive(Debug)]
pub struct Session {
    /// The connection.
    pub connection: Connection,
    queue: EventQueue<Seen>,
    /// Events seen.
    pub seen: Seen,
    /// For making objects.
    pub handle: QueueHandle<Seen>,
    /// wl_compositor.
    pub compositor: wl_compositor::WlCompositor,
    /// wl_shm.
    pub shm: wl_shm::WlShm,
    /// xdg_wm_base.
    pub shell: xdg_wm_base::XdgWmBase,
    /// wl_seat, when there is one.
    pub seat: Option<wl_seat::WlSeat>,
}

impl Session {
    /// Connects as the environment says (`WAYLAND_SOCKET`, `WAYLAND_DISPLAY`).
    ///
    /// # Errors
    /// When there is no compositor, or it lacks a needed global.
    pub fn connect() -> Result<Self> {
        let connection = Connection::connect_to_env().context("no Wayland compositor")?;
        let (globals, queue) = registry_queue_init::<Seen>(&connection).context("no registry")?;
        let handle = queue.handle();
        Ok(Self {
            compositor: globals
                .bind(&handle, COMPOSITOR_VERSION..=COMPOSITOR_VERSION, ())
                .context("wl_compositor")?,
            shm: globals.bind(&handle, 1..=1, ()).context("wl_shm")?,
            shell: globals.bind(&handle, 1..=1, ()).context("xdg_wm_base")?,
            seat: globals.bind(&handle, 1..=SEAT_VERSION, ()).ok(),
            connection,
            seen: Seen::default(),
            handle,
            queue,
        })
    }

    /// Sends what is queued and waits for all events it causes.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn roundtrip(&mut self) -> Result<()> {
        self.queue
            .roundtrip(&mut self.seen)
            .context("connection lost")?;
        Ok(())
    }

    /// Handles events until `done`.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn dispatch_until(&mut self, done: impl Fn(&Seen) -> bool) -> Result<()> {
        while !done(&self.seen) {
            self.queue
                .blocking_dispatch(&mut self.seen)
                .context("connection lost")?;
        }
        Ok(())
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn flush(&self) -> Result<()> {
        self.connection.flush().context("connection lost")
    }
}

delegate_noop!(Seen: wl_compositor::WlCompositor);
delegate_noop!(Seen: wl_region::WlRegion);
delegate_noop!(Seen: wl_shm_pool::WlShmPool);
delegate_noop!(Seen: ignore wl_shm::WlShm);
delegate_noop!(Seen: ignore wl_seat::WlSeat);
delegate_noop!(Seen: ignore wl_surface::WlSurface);

listen! { Seen:
    wl_registry::WlRegistry, GlobalListContents => |_, _, _, _| {};
    wl_callback::WlCallback => |seen, _, _| seen.frames += 1;
    // A buffer carries its number.
    wl_buffer::WlBuffer, usize => |seen, _, _, number| seen.released.insert(*number);
    wl_keyboard::WlKeyboard => |seen, _, event| {
        let xkb = WEnum::Value(wl_keyboard::KeymapFormat::XkbV1);
        if let wl_keyboard::Event::Keymap { format, fd, size } = event && format == xkb {
            seen.keymap = Some((fd, size));
        }
    };
    xdg_wm_base::XdgWmBase => |_, shell, event| {
        if let xdg_wm_base::Event::Ping { serial } = event {
            shell.pong(serial);
        }
    };
    xdg_surface::XdgSurface => |seen, surface, event| {
        if let xdg_surface::Event::Configure { serial } = event {
            surface.ack_configure(serial);
            seen.configured = true;
        }
    };
    xdg_toplevel::XdgToplevel => |seen, _, event| {
        seen.closed |= matches!(event, xdg_toplevel::Event::Close);
    };
}

/// Whether an object is still known to the library; a dead one shows a lost connection.
pub fn is_alive(object: &impl Proxy) -> bool {
    object.is_alive()
}
