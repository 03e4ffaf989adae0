//! Waiting, always bounded.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Longest wait for an answer from the host. Only bounds a hang.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at what makes no event, milliseconds.
const LOOK: u16 = 5;

/// What poll(2) says of one descriptor, without waiting.
pub(crate) fn poll_now(fd: impl AsFd, events: PollFlags) -> nix::Result<PollFlags> {
    poll_for(fd, events, PollTimeout::ZERO)
}

fn poll_for(fd: impl AsFd, events: PollFlags, timeout: PollTimeout) -> nix::Result<PollFlags> {
    let mut fds = [PollFd::new(fd.as_fd(), events)];
    poll(&mut fds, timeout)?;
    Ok(fds[0].revents().unwrap_or(PollFlags::empty()))
}

/// Waits for one of the events, or for a hang-up or an error; what there is.
pub(crate) fn event(fd: impl AsFd, events: PollFlags) -> Result<PollFlags> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll_for(&fd, events, timeout) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(found) if !found.is_empty() => return Ok(found),
            Ok(_) => bail!("no {events:?} after {} s", LIMIT.as_secs()),
        }
    }
}

/// Waits until there is something to read.
pub(crate) fn readable(fd: impl AsFd) -> Result<PollFlags> {
    event(fd, PollFlags::POLLIN)
}

/// Waits for what makes no event.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !done()? {
        if Instant::now() >= deadline {
            bail!("{what}: not after {} s", LIMIT.as_secs());
        }
        pause();
    }
    Ok(())
}

/// Gives others the processor for a moment.
pub(crate) fn pause() {
    // A signal ends it early, which is as well.
    let _ = poll(&mut [], PollTimeout::from(LOOK));
}
