//! Telling a compositor, for threads that can wait.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::announcer::{Announcer, Error};
use crate::context::Context;
use crate::identity::Identity;

/// Has a compositor accept clients of a VM from `listener`, and waits until it has confirmed.
///
/// `display` is an ordinary connection to the compositor, on which nothing has been said; it is
/// closed at the end. Not to be called by a thread that the compositor needs in order to answer.
///
/// # Errors
/// [`Error::Unsupported`] when the compositor knows no security contexts, [`Error::TimedOut`] at
/// `deadline`, and the end of the connection.
pub fn announce(
    display: UnixStream,
    listener: impl AsFd,
    identity: &Identity,
    deadline: Instant,
) -> Result<Context, Error> {
    let mut announcer = Announcer::new(display)?;
    while announcer.support().is_none() {
        wait(&announcer, deadline)?;
        announcer.dispatch()?;
    }
    let context = announcer.announce(listener, identity)?;
    while !announcer.has_confirmed(&context) {
        wait(&announcer, deadline)?;
        announcer.dispatch()?;
    }
    Ok(context)
}

/// Until the compositor says something.
fn wait(announcer: &Announcer, deadline: Instant) -> Result<(), Error> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::TimedOut);
        }
        // Rounded up, or the last millisecond would be spent turning.
        let left = i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(announcer.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(Error::Io(errno.into())),
        }
    }
}
