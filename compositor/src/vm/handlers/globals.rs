//! Versions we choose ourselves. What a client may bind is exactly what
//! [`VmState::new`](super::super::state::VmState) creates.

use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_wm_base::XdgWmBase;
use smithay::reexports::wayland_server::DisplayHandle;
use smithay::wayland::shell::xdg::XdgShellState;

use super::super::state::VmState;

/// Version of xdg_wm_base. Clients of weston 10 (Debian 12) bind whatever is
/// offered and die of the `configure_bounds` event of version 4; 3 has all we use.
const XDG_WM_BASE_VERSION: u32 = 3;

/// The xdg shell, with the version above instead of the newest smithay knows.
pub(in super::super) fn xdg_shell(handle: &DisplayHandle) -> XdgShellState {
    let state = XdgShellState::new::<VmState>(handle);
    // No client exists yet, so nobody sees the first global come and go.
    handle.remove_global::<VmState>(state.global());
    handle.create_global::<VmState, XdgWmBase, ()>(XDG_WM_BASE_VERSION, ());
    state
}
