//! xdg-decoration: the compositor always draws the frame.

use smithay::reexports::wayland_protocols::xdg::decoration::zv1::server::zxdg_toplevel_decoration_v1::Mode;
use smithay::wayland::shell::xdg::ToplevelSurface;
use smithay::wayland::shell::xdg::decoration::XdgDecorationHandler;

use super::super::state::VmState;

impl XdgDecorationHandler for VmState {
    fn new_decoration(&mut self, toplevel: ToplevelSurface) {
        self.decorate(&toplevel);
    }

    fn request_mode(&mut self, toplevel: ToplevelSurface, _mode: Mode) {
        self.decorate(&toplevel);
    }

    fn unset_mode(&mut self, toplevel: ToplevelSurface) {
        self.decorate(&toplevel);
    }
}

impl VmState {
    fn decorate(&self, toplevel: &ToplevelSurface) {
        toplevel.with_pending_state(|state| state.decoration_mode = Some(Mode::ServerSide));
        self.answer_configure(toplevel);
    }
}

smithay::delegate_xdg_decoration!(VmState);
