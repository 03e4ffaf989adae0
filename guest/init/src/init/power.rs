//! Ending everything in order.

use std::time::Duration;

use calloop::timer::{TimeoutAction, Timer};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::Init;

/// How long programs may take to end after SIGTERM. Emulated guests are slow, a person waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the kernel may take to end them after SIGKILL, and the host to read the last events.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// How the guest ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It powers off.
    PowerOff,
    /// It starts anew.
    Restart,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Power {
    /// Nobody has asked for it.
    #[default]
    On,
    /// Programs have been asked to end.
    Terminating(Ending),
    /// Programs are being killed.
    Killing(Ending),
    /// No wait any more.
    Off(Ending),
}

impl Init {
    /// Ends all programs and then the guest. Asked again, it changes nothing.
    pub(crate) fn end(&mut self, ending: Ending) {
        if self.power != Power::On {
            return;
        }
        tracing::info!(
            "{}",
            if ending == Ending::Restart {
                "restarting"
            } else {
                "powering off"
            }
        );
        self.power = Power::Terminating(ending);
        // SIGHUP ends interactive shells, which ignore the other; SIGCONT lets stopped ones hear it.
        for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCONT] {
            self.signal_everybody(signal);
        }
        self.set_alarm(PATIENCE);
    }

    /// Whether an end is under way: nothing is to be started any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.power != Power::On
    }

    /// How to end the guest, once nothing is left to wait for.
    pub(super) fn finished(&mut self) -> Option<Ending> {
        let ending = match self.power {
            Power::On => return None,
            Power::Terminating(ending) | Power::Killing(ending)
                if self.agent.is_done() && !self.has_processes() =>
            {
                ending
            }
            Power::Terminating(_) | Power::Killing(_) => return None,
            Power::Off(ending) => ending,
        };
        self.agent.halting();
        Some(ending)
    }

    fn set_alarm(&mut self, after: Duration) {
        let timer = Timer::from_duration(after);
        let inserted = self.handle.insert_source(timer, |_, (), init: &mut Self| {
            init.lose_patience();
            TimeoutAction::Drop
        });
        if inserted.is_err() {
            self.lose_patience();
        }
    }

    fn lose_patience(&mut self) {
        match self.power {
            Power::Terminating(ending) => {
                tracing::warn!("some programs do not end, killing them");
                self.power = Power::Killing(ending);
                self.signal_everybody(Signal::SIGKILL);
                self.set_alarm(LAST_PATIENCE);
            }
            Power::Killing(ending) => self.power = Power::Off(ending),
            Power::On | Power::Off(_) => {}
        }
    }

    fn signal_everybody(&self, signal: Signal) {
        if self.first {
            // All but init itself.
            let _ = kill(Pid::from_raw(-1), signal);
        } else {
            self.agent.signal_all(signal);
        }
    }

    /// Whether a process is left besides us: all others are our children, or theirs.
    fn has_processes(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        self.first && !matches!(waitid(Id::All, flags), Err(Errno::ECHILD))
    }
}
