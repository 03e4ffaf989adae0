//! What happens to a VM when a frame was drawn.

use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::compositor::{SurfaceAttributes, SurfaceData};

use super::shadow::Shadow;
use super::state::VmState;
use super::tree;

impl VmState {
    /// A new share of copies begins; clients may draw their next frame.
    pub(super) fn frame_done(&mut self) {
        self.budget.refill();
        self.wants_frame = false;
        let time = self.time();
        for root in self.windows.roots() {
            self.frame_done_for(&root, time);
        }
        self.update_touched();
    }

    fn frame_done_for(&mut self, root: &WlSurface, time: u32) {
        let mut bad = None;
        let (mut copied, mut waiting) = (false, false);
        let budget = &mut self.budget;
        tree::all(root, |states| {
            Shadow::with(states, |shadow| {
                if shadow.is_waiting() && budget.has_time() {
                    bad = bad.or(shadow.catch_up(states, budget).err());
                    copied = true;
                }
                waiting |= shadow.is_waiting();
            });
            answer_callbacks(states, time);
        });
        self.wants_frame |= waiting;
        if let Some(reason) = bad {
            self.blame(root, reason);
        } else if copied {
            self.touched.insert(root.clone());
        }
    }
}

fn answer_callbacks(states: &SurfaceData, time: u32) {
    let mut cached = states.cached_state.get::<SurfaceAttributes>();
    for callback in cached.current().frame_callbacks.drain(..) {
        callback.done(time);
    }
}
