//! Whether there can be VFDs at all, for calls that succeed on everything and are made of everything.

use std::sync::atomic::{AtomicBool, Ordering};

static OPEN: AtomicBool = AtomicBool::new(false);

/// The device has been opened.
pub(crate) fn begin() {
    OPEN.store(true, Ordering::Release);
}

/// Whether it has.
#[inline]
pub(crate) fn device_is_open() -> bool {
    OPEN.load(Ordering::Acquire)
}
