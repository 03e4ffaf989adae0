//! Looking at a device without stopping it, and without being stopped by it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::core::session::VfdReport;
use crate::virtio::device::Device;

/// How long a busy worker may take to finish its turn. Turns take microseconds; one
/// that takes longer waits for its frontend.
const PATIENCE: Duration = Duration::from_millis(100);

/// A guest's VFDs at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// All VFDs, in no order.
    pub vfds: Vec<VfdReport>,
    /// Bytes and number of live mappings.
    pub mapped: (u64, u64),
}

impl Snapshot {
    pub(super) fn of(device: &Device) -> Self {
        let session = device.session();
        Snapshot {
            vfds: session.report().collect(),
            mapped: session.mapped(),
        }
    }
}

/// Where a worker leaves a snapshot that somebody wishes for.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    wished: AtomicBool,
    /// The last one left, and how many there have been.
    left: Mutex<(u64, Snapshot)>,
    arrived: Condvar,
}

impl Snapshots {
    /// Wishes for one; what is returned goes to [`Snapshots::wait`].
    pub(super) fn wish(&self) -> u64 {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        self.wished.store(true, Ordering::Release);
        left.0
    }

    /// Waits until a snapshot newer than the wish is left.
    pub(super) fn wait(&self, wish: u64) -> Option<Snapshot> {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, _) = self
            .arrived
            .wait_timeout_while(left, PATIENCE, |left| left.0 == wish)
            .unwrap_or_else(PoisonError::into_inner);
        (left.0 != wish).then(|| left.1.clone())
    }

    /// Leaves one, if somebody wishes for it.
    pub(super) fn grant(&self, look: impl FnOnce() -> Snapshot) {
        if self.wished.swap(false, Ordering::AcqRel) {
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            *left = (left.0 + 1, look());
            self.arrived.notify_all();
        }
    }
}
