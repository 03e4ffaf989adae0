//! A toplevel of a fixed size: whatever the compositor suggests, it keeps its own.

use anyhow::Result;
use wayland_client::protocol::{wl_buffer, wl_surface};
use wayland_protocols::xdg::shell::client::{xdg_surface, xdg_toplevel};

use crate::session::Session;

/// A toplevel that has been configured.
#[derive(Debug)]
pub struct Window {
    /// Its surface.
    pub surface: wl_surface::WlSurface,
    /// Its xdg_surface.
    pub xdg_surface: xdg_surface::XdgSurface,
    /// Its xdg_toplevel.
    pub toplevel: xdg_toplevel::XdgToplevel,
}

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: usize,
    /// Top edge.
    pub y: usize,
    /// Width.
    pub width: usize,
    /// Height.
    pub height: usize,
}

impl Window {
    /// Makes a toplevel and waits for its first configure.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn new(session: &mut Session, title: &str) -> Result<Self> {
        let handle = session.handle.clone();
        let surface = session.compositor.create_surface(&handle, ());
        let xdg_surface = session.shell.get_xdg_surface(&surface, &handle, ());
        let toplevel = xdg_surface.get_toplevel(&handle, ());
        toplevel.set_title(title.to_owned());
        toplevel.set_app_id("virtio-wl-test".to_owned());
        surface.commit();
        session.dispatch_until(|seen| seen.configured)?;
        Ok(Self {
            surface,
            xdg_surface,
            toplevel,
        })
    }

    /// Commits a buffer with its damage, and waits until the frame has been shown.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn show(
        &self,
        session: &mut Session,
        buffer: &wl_buffer::WlBuffer,
        damage: &[Rect],
    ) -> Result<()> {
        self.surface.attach(Some(buffer), 0, 0);
        for rect in damage {
            let [x, y, width, height] = [rect.x, rect.y, rect.width, rect.height].map(to_wire);
            self.surface.damage_buffer(x, y, width, height);
        }
        self.surface.frame(&session.handle, ());
        self.surface.commit();
        let shown = session.seen.frames + 1;
        session.dispatch_until(|seen| seen.frames >= shown)
    }
}

/// A coordinate as the wire wants it. Pictures here have a few thousand pixels a side.
pub fn to_wire(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
