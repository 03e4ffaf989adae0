//! What one VM may hold at a time.
//!
//! A client that goes past a limit is disconnected; nobody else notices.

use std::fmt::Display;

use smithay::reexports::wayland_server::Resource;
use smithay::reexports::wayland_server::backend::Handle;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;

use super::state::VmState;

/// Popups of a VM. A menu bar with all submenus open has a dozen.
pub(super) const MAX_POPUPS: usize = 64;

/// `wl_display.error.no_memory`, for want of a better code.
const NO_MEMORY: u32 = 2;

impl VmState {
    /// Checks what can only be counted now and then.
    pub(super) fn enforce_limits(&mut self, _handle: Handle) {}

    /// Disconnects the client a surface belongs to.
    pub(super) fn blame(&self, surface: &WlSurface, reason: impl Display) {
        tracing::warn!(vm = %self.id, %reason, "client is disconnected");
        surface.post_error(NO_MEMORY, reason.to_string());
    }
}
