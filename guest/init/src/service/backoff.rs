//! How long to wait before a service is started again.

use std::time::Duration;

/// Before the first new start: at once, for a person.
const SHORTEST: Duration = Duration::from_millis(100);

/// However often it fails: a person that repairs the cause does not wait long for it.
const LONGEST: Duration = Duration::from_secs(5);

/// A service that has run for so long has not failed for the same reason again.
const GOOD: Duration = Duration::from_secs(10);

/// Waits, each twice the one before.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait, now that the service has ended after running for `ran`.
    pub(super) fn next(&mut self, ran: Duration) -> Duration {
        if ran >= GOOD {
            self.failures = 0;
        }
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        SHORTEST.saturating_mul(factor).min(LONGEST)
    }
}

#[cfg(test)]
mod tests;
