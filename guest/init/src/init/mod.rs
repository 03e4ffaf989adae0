//! The loop of init, once the guest has been set up.

mod power;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use calloop::signals::{Signal, Signals};
use calloop::{EventLoop, LoopHandle};
use nix::errno::Errno;
use nix::unistd::Pid;

pub(crate) use self::power::Ending;
use self::power::Power;
use crate::agent::{Agent, Order, Policy};
use crate::desktop::Desktop;
use crate::roles::COMPOSITOR_CONTROL;
use crate::screen::Screen;
use crate::service::{Service, describe};
use crate::sys;

/// Signals that somebody may send to init.
const SIGNALS: [Signal; 6] = [
    Signal::SIGCHLD,
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGHUP,
];

/// Everything that lives as long as the guest.
#[derive(Debug)]
pub(crate) struct Init {
    /// The loop.
    pub(crate) handle: LoopHandle<'static, Self>,
    /// The programs of the host.
    pub(crate) agent: Agent,
    /// Programs that are kept running.
    pub(crate) services: Vec<Service>,
    /// The way to the compositor's control socket.
    pub(crate) screen: Option<Screen>,
    /// The start of a compositor that is not ours.
    pub(crate) desktop: Option<Desktop>,
    /// Programs to be started once the main service is ready.
    pub(crate) run: Vec<Vec<String>>,
    /// Those that were, and still run.
    pub(crate) autostarted: BTreeMap<Pid, String>,
    /// Nodes of the power buttons that are listened to.
    pub(crate) buttons: BTreeSet<String>,
    power: Power,
    /// Whether this is the first process of a guest, which has all others as children.
    first: bool,
}

impl Init {
    /// Serves until it is time to power off, and says how.
    ///
    /// `prepare` adds what a role needs.
    ///
    /// # Errors
    /// Whatever the loop gives; there is nothing left to do then.
    pub(crate) fn serve(
        policy: Policy,
        kernel: String,
        first: bool,
        prepare: impl FnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<Ending> {
        let mut event_loop = EventLoop::try_new().context("cannot make an event loop")?;
        let handle = event_loop.handle();
        let signals = Signals::new(&SIGNALS).context("cannot take over signals")?;
        handle
            .insert_source(signals, |event, (), init: &mut Self| {
                init.signal(event.signal())
            })
            .map_err(|error| error.error)
            .context("cannot watch signals")?;
        let mut init = Self {
            agent: Agent::new(handle.clone(), policy, kernel),
            handle,
            services: Vec::new(),
            screen: None,
            desktop: None,
            run: Vec::new(),
            autostarted: BTreeMap::new(),
            buttons: BTreeSet::new(),
            power: Power::default(),
            first,
        };
        prepare(&mut init)?;
        loop {
            let screen = init.screen.as_ref().is_some_and(Screen::has_work);
            let timeout = (init.agent.has_work() || screen).then_some(Duration::ZERO);
            event_loop
                .dispatch(timeout, &mut init)
                .context("cannot wait for events")?;
            // Signals merge into one, so each turn looks.
            init.reap();
            if let Some(screen) = &mut init.screen {
                screen.settle(Path::new(COMPOSITOR_CONTROL));
            }
            match init.agent.settle() {
                Some(Order::Halt) => init.end(Ending::PowerOff),
                Some(Order::Closed) if !init.first => init.end(Ending::PowerOff),
                Some(Order::Closed) | None => {}
            }
            if let Some(ending) = init.finished() {
                return Ok(ending);
            }
        }
    }

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::SIGCHLD | Signal::SIGHUP => {}
            // What the kernel makes of ctrl-alt-del.
            Signal::SIGINT if self.first => self.end(Ending::Restart),
            _ => self.end(Ending::PowerOff),
        }
    }

    /// Takes note of all processes that have ended, orphans among them.
    fn reap(&mut self) {
        loop {
            let (pid, status) = match sys::reap_one() {
                Ok(Some(ended)) => ended,
                Ok(None) | Err(Errno::ECHILD) => return,
                Err(Errno::EINTR) => continue,
                Err(errno) => {
                    tracing::error!("cannot wait for processes: {errno}");
                    return;
                }
            };
            let known = self.agent.reaped(pid, status)
                || self.service_reaped(pid, status)
                || self.desktop_reaped(pid, status);
            if known {
                continue;
            }
            match self.autostarted.remove(&pid) {
                Some(name) => tracing::info!("{name} has ended: {}", describe(status)),
                None => tracing::debug!(%pid, ?status, "an orphan has ended"),
            }
        }
    }
}
