//! When a frame is drawn: at most 60 times a second, and not at all while
//! nobody needs one.

use std::time::{Duration, Instant};

/// Time from one frame to the next.
pub(crate) const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);

/// When the next frame is due.
#[derive(Debug, Default)]
pub(crate) struct Pacing {
    last: Option<Instant>,
    armed: bool,
}

impl Pacing {
    /// True if a timer is set.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed
    }

    /// Asks for a frame; the time a timer must be set to, if none is.
    pub(crate) fn arm(&mut self, now: Instant) -> Option<Instant> {
        if self.armed {
            return None;
        }
        self.armed = true;
        // On the grid of the last frame as long as it is near, so that 60 Hz
        // stay 60 Hz however long a frame takes.
        let next = self.last.map(|last| last + FRAME);
        Some(next.filter(|next| *next > now).unwrap_or(now))
    }

    /// The timer fired.
    pub(crate) fn fired(&mut self, deadline: Instant, now: Instant) {
        self.armed = false;
        let late = now.saturating_duration_since(deadline);
        self.last = Some(if late < FRAME { deadline } else { now });
    }
}
