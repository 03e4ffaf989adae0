//! The thread that carries.

use std::{os::fd::AsFd, time::Duration};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::{Job, Shared, job::Progress};
use crate::{
    device::lock,
    limits::{PUMP_RETRY, PUMP_RETRY_MAX},
};

/// A job of which poll(2) said nothing.
const NOTHING: [PollFlags; 2] = [PollFlags::empty(); 2];

/// Carries until the device is closed and nothing is left to carry.
pub(super) fn run(shared: &Shared) {
    let mut jobs: Vec<Job> = Vec::new();
    let mut retry = PUMP_RETRY;
    loop {
        let closed = {
            let mut inbox = lock(&shared.inbox);
            inbox.unfinished = inbox.new.len() + jobs.len();
            jobs.append(&mut inbox.new);
            inbox.closed
        };
        if jobs.is_empty() && closed {
            return;
        }
        let starved = jobs.iter().filter(|job| job.is_starved()).count();
        let timeout = (starved > 0).then_some(retry);
        let Some(revents) = wait(shared, &jobs, timeout, closed) else {
            // Better to end them than to let them hang: their users see the end.
            jobs.clear();
            continue;
        };
        let in_vain = revents.iter().all(|events| *events == NOTHING);
        let mut revents = revents.into_iter();
        jobs.retain_mut(|job| {
            let [vfd, pipe] = revents.next().unwrap_or(NOTHING);
            if vfd.is_empty() && pipe.is_empty() && !job.is_starved() {
                return true;
            }
            job.step(vfd, pipe) == Progress::More
        });
        if jobs.iter().filter(|job| job.is_starved()).count() < starved {
            retry = PUMP_RETRY;
        } else if in_vain {
            // Only then: what other pipes are busy with says nothing of these.
            retry = PUMP_RETRY_MAX.min(2 * retry);
        }
    }
}

/// Waits for something to do; what happened to the VFD and to the pipe of each job.
///
/// `None` when the kernel refuses to poll, for want of memory or because of the limit of open files.
fn wait(
    shared: &Shared,
    jobs: &[Job],
    timeout: Option<Duration>,
    closed: bool,
) -> Option<Vec<[PollFlags; 2]>> {
    let mut fds = vec![PollFd::new(shared.wake.as_fd(), PollFlags::POLLIN)];
    // An open device is dispatched by its owner.
    let orphan = jobs.first().filter(|_| closed).map(Job::driver);
    let events = orphan.and_then(|driver| driver.event_fd());
    fds.extend(events.map(|events| PollFd::new(events, PollFlags::POLLIN)));
    let first = fds.len();
    let mut asked = Vec::with_capacity(jobs.len());
    for job in jobs {
        let interest = job.interest();
        asked.push(interest.each_ref().map(Option::is_some));
        fds.extend(interest.into_iter().flatten());
    }
    let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
        PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX)
    });
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => {
            tracing::error!("cannot poll pipes: {errno}");
            return None;
        }
    }
    let happened = |fd: &PollFd<'_>| fd.revents().unwrap_or(PollFlags::empty());
    if !happened(&fds[0]).is_empty() {
        // What counts is that it was written; how often does not.
        let _ = shared.wake.read();
    }
    if let Some(driver) = orphan
        && first == 2
        && !happened(&fds[1]).is_empty()
        && let Err(error) = driver.dispatch()
    {
        // All VFDs have hung up, so the jobs end by themselves.
        tracing::debug!("the device is gone: {error}");
    }
    let mut polled = fds[first..].iter().map(happened);
    let mut take = |asked: bool| {
        asked
            .then(|| polled.next())
            .flatten()
            .unwrap_or(PollFlags::empty())
    };
    Some(asked.into_iter().map(|job| job.map(&mut take)).collect())
}
