//! The display changing, or going away.

use super::Compositor;
use crate::backend::{BackendError, DisplayLost};

impl Compositor {
    /// Something about the monitor may be different now.
    pub(crate) fn monitor_changed(&mut self) {
        match self.backend.refresh() {
            Ok(false) => return,
            Ok(true) => {}
            Err(BackendError::Frame(error)) => {
                tracing::warn!("the monitor cannot be looked at: {error:#}");
                return;
            }
            Err(BackendError::Lost(lost)) => return self.fail(lost),
        }
        self.damaged = true;
        let size = self.backend.size();
        if size == self.screen() {
            return;
        }
        self.core.set_monitor(size);
        for (_, entry) in self.vms.iter_mut() {
            entry.dirty = true;
            entry.vm.set_monitor(size);
        }
    }

    /// Nothing can be shown any more: the loop ends with this as its error.
    pub(super) fn fail(&mut self, lost: DisplayLost) {
        self.failure.get_or_insert(lost);
        self.quit();
    }

    /// Why the loop ended, if it was not asked to.
    pub(crate) fn take_failure(&mut self) -> Option<DisplayLost> {
        self.failure.take()
    }
}
