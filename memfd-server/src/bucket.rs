//! A bound on the rate of something, with bursts.

use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

const SECOND: Duration = Duration::from_secs(1);

/// Lets through `rate` events per second, and up to a second's worth of them at once.
///
/// The clock is the caller's. (This is the "generic cell rate algorithm": one instant
/// says how far in advance the events let through so far have used up time.)
#[derive(Debug)]
pub struct Bucket {
    /// Time one event uses up.
    interval: Duration,
    /// How far ahead of now `used_up_to` may be when an event is let through.
    tolerance: Duration,
    used_up_to: Instant,
}

impl Bucket {
    /// A full bucket for `rate` events per second; 0 counts as 1.
    #[must_use]
    pub fn new(rate: u32, now: Instant) -> Self {
        let interval = SECOND / rate.max(1);
        Self {
            interval,
            tolerance: SECOND.saturating_sub(interval),
            used_up_to: now,
        }
    }

    /// How long until the next event would be let through.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Duration {
        self.used_up_to
            .saturating_duration_since(now)
            .saturating_sub(self.tolerance)
    }

    /// Takes one event.
    ///
    /// # Errors
    ///
    /// How long to wait until there is one; nothing is taken.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        match self.wait(now) {
            Duration::ZERO => {
                self.used_up_to = self.used_up_to.max(now) + self.interval;
                Ok(())
            }
            wait => Err(wait),
        }
    }
}
