//! wl_compositor, wl_surface, wl_subcompositor.

use smithay::reexports::wayland_server::Client;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::compositor::{
    CompositorClientState, CompositorHandler, CompositorState, SurfaceAttributes, TraversalAction,
    is_sync_subsurface, with_states, with_surface_tree_upward,
};

use super::super::shadow::Shadow;
use super::super::state::{ClientState, LiveSurface, VmState};

impl CompositorHandler for VmState {
    fn compositor_state(&mut self) -> &mut CompositorState {
        &mut self.compositor
    }

    fn client_compositor_state<'a>(&self, client: &'a Client) -> &'a CompositorClientState {
        match client.get_data::<ClientState>() {
            Some(data) => &data.compositor,
            // Clients come in through `Vm::insert` only, which sets the data.
            None => unreachable!("a client without client state"),
        }
    }

    fn new_surface(&mut self, surface: &WlSurface) {
        with_states(surface, |states| {
            states.data_map.insert_if_missing(LiveSurface::new);
        });
    }

    fn commit(&mut self, surface: &WlSurface) {
        if is_sync_subsurface(surface) {
            return;
        }
        self.apply_tree(surface);
        self.popup_grabs.commit(surface);
        self.configure_if_new(surface);
        self.update_window_of(surface);
    }

    fn destroyed(&mut self, surface: &WlSurface) {
        // The output remembers every surface that was on it.
        self.output.output.leave(surface);
    }
}

impl VmState {
    /// Takes up what the commit of a surface applied, for it and its
    /// synchronised subsurfaces.
    fn apply_tree(&mut self, surface: &WlSurface) {
        let mut bad = None;
        let mut wants_frame = false;
        let (budget, output) = (&mut self.budget, &self.output.output);
        with_surface_tree_upward(
            surface,
            (),
            |_, _, ()| TraversalAction::DoChildren(()),
            |surface, states, ()| {
                let applied = Shadow::with(states, |shadow| {
                    let applied = shadow.apply(states, budget);
                    wants_frame |= shadow.is_waiting();
                    applied
                });
                bad = bad.or(applied.err());
                if Shadow::with(states, |shadow| shadow.has_content()) {
                    output.enter(surface);
                }
                let mut cached = states.cached_state.get::<SurfaceAttributes>();
                wants_frame |= !cached.current().frame_callbacks.is_empty();
            },
            |_, _, ()| true,
        );
        self.wants_frame |= wants_frame;
        if let Some(reason) = bad {
            self.blame(surface, reason);
        }
    }
}

smithay::delegate_compositor!(VmState);
