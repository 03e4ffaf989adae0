//! Waiting for a VFD while the device's traffic goes on.

use std::{
    io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::driver::Driver;

/// Waits until `fd` has something to receive or has hung up, dispatching for the driver meanwhile.
///
/// Returns `ETIMEDOUT` when `deadline` passes first.
pub(crate) fn wait_readable(
    driver: &dyn Driver,
    fd: BorrowedFd<'_>,
    deadline: Option<Instant>,
) -> io::Result<()> {
    loop {
        let mut fds = vec![PollFd::new(fd, PollFlags::POLLIN)];
        if let Some(events) = driver.event_fd() {
            fds.push(PollFd::new(events, PollFlags::POLLIN));
        }
        match poll(&mut fds, timeout(deadline)?) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if fds[0].any().unwrap_or(true) {
            return Ok(());
        }
        if fds.get(1).is_some_and(|fd| fd.any().unwrap_or(true)) {
            driver.dispatch()?;
        }
    }
}

fn timeout(deadline: Option<Instant>) -> io::Result<PollTimeout> {
    let Some(deadline) = deadline else {
        return Ok(PollTimeout::NONE);
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Errno::ETIMEDOUT.into());
    }
    // Rounded up, or the last millisecond would be spent spinning.
    let rounded = left + Duration::from_millis(1);
    Ok(PollTimeout::try_from(rounded).unwrap_or(PollTimeout::MAX))
}
