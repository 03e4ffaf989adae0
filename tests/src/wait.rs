//! Waiting for events, always with a deadline.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long one step may take on a busy two-core machine before the run is given up.
///
/// Not a measure of speed: a step normally takes milliseconds. It only bounds a hang.
pub const STEP: Duration = Duration::from_secs(30);

/// A point in time by which something must have happened.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// `after` from now.
    pub fn after(after: Duration) -> Self {
        Self(Instant::now() + after)
    }

    /// One [`STEP`] from now.
    pub fn step() -> Self {
        Self::after(STEP)
    }

    /// What is left, zero when passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        self.left().is_zero()
    }

    /// The rest as a poll(2) time-out, rounded up so that a poll never ends before it.
    fn poll_timeout(self) -> PollTimeout {
        let ms = self.left().as_millis().saturating_add(1);
        PollTimeout::try_from(i32::try_from(ms).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
    }
}

/// Waits until one of `fds` is readable or hung up; which ones are, in order.
///
/// # Errors
/// When the deadline passes first, or poll(2) fails.
pub fn readable(fds: &[BorrowedFd<'_>], deadline: Deadline) -> Result<Vec<bool>> {
    let mut set: Vec<PollFd<'_>> = fds
        .iter()
        .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
        .collect();
    loop {
        match poll(&mut set, deadline.poll_timeout()) {
            Ok(0) if deadline.passed() => bail!("deadline passed"),
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => break,
            Err(error) => return Err(error).context("poll"),
        }
    }
    Ok(set.iter().map(|fd| fd.any().unwrap_or(false)).collect())
}

/// Whether `fd` is readable or hung up now.
///
/// # Errors
/// When poll(2) fails.
pub fn is_readable(fd: BorrowedFd<'_>) -> Result<bool> {
    let mut set = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut set, PollTimeout::ZERO).context("poll")?;
    Ok(set[0].any().unwrap_or(false))
}

/// Asks `probe` until it gives a value. For facts of another process that offer no event to wait
/// on (the files in `/proc`, a picture drawn by an unmodified program).
///
/// Between two questions the thread waits a short while on nothing, so as not to take the cores
/// from what it waits for.
///
/// # Errors
/// The probe's own error at once; otherwise when the deadline passes.
pub fn until<T>(
    what: &str,
    deadline: Deadline,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    const PAUSE_MS: u8 = 20;
    loop {
        if let Some(value) = probe()? {
            return Ok(value);
        }
        if deadline.passed() {
            bail!("deadline passed while waiting for {what}");
        }
        poll(&mut [], PollTimeout::from(PAUSE_MS)).context("poll")?;
    }
}
