//! A VM's share of the compositor's time.
//!
//! Bytes per turn bound what a client can ask for at once; this bounds how
//! often. A VM whose requests take long is not read for a while, so that its
//! clients slow down and nobody else's do.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Time a VM may use at once: one frame, so that a client that draws a large
/// picture 60 times a second is never held up.
const BURST: Duration = Duration::from_micros(16_667);

/// Time of the clock for each unit of time used: a VM gets half of it.
const COST: u32 = 2;

/// Processor time of this thread. Not the clock's: a VM does not pay for
/// what other processes take while it is served.
pub(crate) fn processor_time() -> Duration {
    // It cannot fail on Linux; without it nobody would ever have to wait.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// One VM's account of time.
#[derive(Debug, Default)]
pub(crate) struct Share {
    /// Time used and not paid back by waiting.
    used: Duration,
    /// When `used` was right.
    at: Option<Instant>,
}

impl Share {
    /// Charges `spent`, used just now. The time until which the VM must wait,
    /// if it used more than it may.
    pub(crate) fn charge(&mut self, spent: Duration, now: Instant) -> Option<Instant> {
        let before = self.at.replace(now);
        let waited = before.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.used = self.used.saturating_sub(waited / COST) + spent;
        let over = self.used.checked_sub(BURST)?;
        (!over.is_zero()).then(|| now + over * COST)
    }
}

#[cfg(test)]
mod tests;
