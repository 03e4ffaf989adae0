//! When to try again what has failed for want of something, or as the other side was not there.

use std::time::Duration;

use nix::poll::{PollTimeout, poll};

/// The first pause: soon enough for a user who starts both sides. Twice as long each time, up to
/// [`LAST`].
const FIRST: Duration = Duration::from_millis(50);

/// The longest pause: seldom enough to cost nothing.
const LAST: Duration = Duration::from_secs(1);

/// Pauses that grow.
#[derive(Debug)]
pub(super) struct Retry(Duration);

impl Default for Retry {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Retry {
    /// Waits.
    pub(super) fn pause(&mut self) {
        let timeout = PollTimeout::try_from(self.0).unwrap_or(PollTimeout::MAX);
        // A signal cannot end it early: threads of ours get none.
        let _ = poll(&mut [], timeout);
        self.0 = (self.0 * 2).min(LAST);
    }

    /// Something has gone well.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}
