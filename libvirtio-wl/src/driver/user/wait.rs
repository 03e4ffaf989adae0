//! Waiting for the device without a thread of our own.
//!
//! Whoever must wait first leads: it sleeps on the poller and acts on what happens, for all.
//! Others sleep until the leader (or a thread that came by and pumped) has news, or leaves.

use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd},
    process,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nix::{errno::Errno, sched::sched_yield, sys::epoll::EpollTimeout};

use super::{poller::Poller, session::Session, state::State, transfer::Attempt};

/// The state, its lock, and who waits for it.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    poller: Arc<Poller>,
    /// How long to look for news before going to sleep.
    spin: Duration,
    /// The process that the queues belong to.
    pid: u32,
}

/// Which news a waiting thread needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Messages of the device.
    Messages,
    /// Messages, or finished requests: a reply, or a slot.
    Requests,
}

impl fmt::Debug for Shared {
    /// Without the state: that is pages of queues and buffers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("spin", &self.spin)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// A device that was just set up.
    pub(super) fn new(session: Session, spin: Duration) -> Self {
        let (state, poller) = State::new(session);
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            poller,
            spin,
            pid: process::id(),
        }
    }

    /// The fd that is readable when [`dispatch`](Self::dispatch) has something to do.
    pub(super) fn event_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }

    /// Fails in a forked child: the queues are one process's, and two would overwrite each other's
    /// entries. Every entry point checks, before it touches the lock, which the parent may have
    /// held at the fork.
    fn check_process(&self) -> io::Result<()> {
        if process::id() != self.pid {
            return Err(Errno::ENODEV.into());
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes everything visible that the caller changed: to users of fds, to the device, and to
    /// waiting threads.
    fn publish(&self, state: &mut State) {
        state.settle();
        state.kick();
        let progress = std::mem::take(&mut state.progress);
        if state.followers > 0 && (progress || !state.led) {
            self.changed.notify_all();
        }
        if state.led && progress {
            self.poller.wake();
        }
    }

    /// Runs something that need not wait.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        self.check_process()?;
        let mut state = self.lock();
        let result = work(&mut state);
        self.publish(&mut state);
        Ok(result)
    }

    /// Acts on everything that has happened. Never blocks.
    pub(super) fn dispatch(&self) -> io::Result<()> {
        self.check_process()?;
        let events = self.poller.wait(EpollTimeout::ZERO)?;
        let mut state = self.lock();
        state.handle(&events);
        state.pump();
        self.publish(&mut state);
        if state.dead {
            return Err(Errno::ENODEV.into());
        }
        Ok(())
    }

    /// Waits until `attempt` succeeds or fails.
    pub(super) fn wait<T>(
        &self,
        need: Need,
        mut attempt: impl FnMut(&mut State) -> Attempt<T>,
    ) -> io::Result<T> {
        self.check_process()?;
        let mut state = self.lock();
        let mut spun = self.spin.is_zero();
        loop {
            state.pump();
            if let Some(done) = attempt(&mut state).transpose() {
                self.publish(&mut state);
                return done;
            }
            self.publish(&mut state);
            if !spun {
                spun = true;
                state = self.look_for_news(state, need);
                continue;
            }
            if need == Need::Requests {
                if state.outbound.arm() {
                    continue;
                }
                state.out_waiters += 1;
            }
            state.stats.sleeps += 1;
            let slept;
            (state, slept) = if state.led {
                (self.follow(state), Ok(()))
            } else {
                self.lead(state)
            };
            if need == Need::Requests {
                state.out_waiters -= 1;
            }
            slept?;
            spun = self.spin.is_zero();
        }
    }

    fn follow<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.followers += 1;
        state = self
            .changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
        state.followers -= 1;
        state
    }

    fn lead<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> (MutexGuard<'a, State>, io::Result<()>) {
        state.led = true;
        drop(state);
        let events = self.poller.wait(EpollTimeout::NONE);
        let mut state = self.lock();
        state.led = false;
        let slept = events.map(|events| state.handle(&events));
        (state, slept)
    }

    /// Looks at the rings for a while, letting other threads run in between: two processes that
    /// spin on one core without yielding wait out each other's time slices.
    fn look_for_news<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        need: Need,
    ) -> MutexGuard<'a, State> {
        state.inbound.disarm();
        let end = Instant::now() + self.spin;
        while !state.has_news(need == Need::Requests) && Instant::now() < end {
            drop(state);
            let _ = sched_yield();
            state = self.lock();
        }
        // The next pump arms again.
        state
    }
}
