//! Programs that init keeps running.

mod backoff;
mod notify;

use std::fs::{self, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use anyhow::Context;
use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Interest, Mode, PostAction};
use guest_control::Ended;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, rlim_t};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{Pid, pipe2};

use self::backoff::Backoff;
use self::notify::Notify;
use crate::console;
use crate::devices::Handover;
use crate::identity::Identity;
use crate::init::Init;
use crate::spawn::Spawn;

/// Where init has its own sockets.
pub(crate) const DIRECTORY: &str = "/run/virtio-wl-init";

/// What a service is.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    /// How the console calls it.
    pub(crate) name: &'static str,
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
    /// Its environment.
    pub(crate) env: Vec<(String, String)>,
    /// As whom it runs.
    pub(crate) identity: Option<Identity>,
    /// Resource limits.
    pub(crate) limits: &'static [(Resource, rlim_t)],
    /// It can never gain a privilege.
    pub(crate) confined: bool,
    /// It is started only when this is there.
    pub(crate) needs: Option<PathBuf>,
    /// It is given the screen and input devices.
    pub(crate) devices: bool,
    /// It talks to a person on this terminal instead of the console.
    pub(crate) terminal: Option<PathBuf>,
    /// How it is known to be ready.
    pub(crate) readiness: Readiness,
    /// The host is told how it is.
    pub(crate) main: bool,
}

/// How a service shows that it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It says so, as to systemd.
    Says,
    /// It takes clients; who sees that tells [`Init::main_service_ready`].
    Listens,
}

/// A service and how it is.
#[derive(Debug)]
pub(crate) struct Service {
    recipe: Recipe,
    backoff: Backoff,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Not started, as something is missing.
    Missing,
    /// It has failed and is not tried again yet.
    Resting,
    /// It runs.
    Running {
        pid: Pid,
        since: Instant,
        handover: Option<Handover>,
    },
}

impl Init {
    /// Starts a service, and keeps it running.
    pub(crate) fn add_service(&mut self, recipe: Recipe) -> anyhow::Result<()> {
        let at = self.services.len();
        if recipe.terminal.is_none() && recipe.readiness == Readiness::Says {
            let path = Path::new(DIRECTORY).join(format!("{}.notify", recipe.name));
            let notify = Notify::bind(&path, recipe.identity.as_ref())
                .with_context(|| format!("cannot make {}", path.display()))?;
            let source = Generic::new(notify, Interest::READ, Mode::Level);
            let inserted = self
                .handle
                .insert_source(source, move |_, notify, init: &mut Self| {
                    if let Ok(Some(pid)) = notify.receive() {
                        init.service_says_ready(at, pid);
                    }
                    Ok(PostAction::Continue)
                });
            inserted
                .map_err(|error| error.error)
                .context("cannot watch it")?;
        }
        self.services.push(Service {
            recipe,
            backoff: Backoff::default(),
            state: State::Missing,
        });
        self.start_missing();
        Ok(())
    }

    /// Starts services whose devices have come.
    pub(crate) fn start_missing(&mut self) {
        for at in 0..self.services.len() {
            let service = &self.services[at];
            let present = service
                .recipe
                .needs
                .as_ref()
                .is_none_or(|path| path.exists());
            if matches!(service.state, State::Missing) && present {
                self.start_service(at);
            }
        }
    }

    fn start_service(&mut self, at: usize) {
        if self.is_ending() {
            return;
        }
        let Some(service) = self.services.get(at) else {
            return;
        };
        let recipe = service.recipe.clone();
        if recipe.needs.as_ref().is_some_and(|path| !path.exists()) {
            tracing::info!("{} waits for its device", recipe.name);
            self.services[at].state = State::Missing;
            return;
        }
        match self.spawn_service(&recipe) {
            Ok((pid, handover)) => {
                tracing::info!("{} runs as {pid}", recipe.name);
                self.services[at].state = State::Running {
                    pid,
                    since: Instant::now(),
                    handover,
                };
            }
            Err(error) => {
                tracing::error!("cannot start {}: {error:#}", recipe.name);
                self.rest(at, Instant::now());
            }
        }
    }

    fn spawn_service(&self, recipe: &Recipe) -> anyhow::Result<(Pid, Option<Handover>)> {
        let mut env = recipe.env.clone();
        let stdio = match &recipe.terminal {
            Some(path) => {
                let terminal = OpenOptions::new().read(true).write(true).open(path);
                let terminal = OwnedFd::from(
                    terminal.with_context(|| format!("cannot open {}", path.display()))?,
                );
                [terminal.try_clone()?, terminal.try_clone()?, terminal]
            }
            None => {
                if recipe.readiness == Readiness::Says {
                    let socket = format!("{DIRECTORY}/{}.notify", recipe.name);
                    env.push(("NOTIFY_SOCKET".to_owned(), socket));
                }
                self.console_stdio(recipe.name)?
            }
        };
        let (mut handover, theirs) = if recipe.devices {
            let (ours, theirs) = socketpair(
                AddressFamily::Unix,
                SockType::SeqPacket,
                None,
                SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            )?;
            (Some(Handover::new(ours)), Some(("devices", theirs)))
        } else {
            (None, None)
        };
        let pid = Spawn {
            argv: &recipe.argv,
            env,
            identity: recipe.identity.as_ref(),
            stdio,
            listen: theirs,
            limits: recipe.limits,
            confined: recipe.confined,
            terminal: recipe.terminal.is_some(),
        }
        .start()?;
        if let Some(handover) = &mut handover {
            handover.offer_all();
            handover.settled();
        }
        Ok((pid, handover))
    }

    /// No input, and output on the console under a name.
    pub(crate) fn console_stdio(&self, name: &str) -> anyhow::Result<[OwnedFd; 3]> {
        let nothing = OwnedFd::from(fs::File::open("/dev/null").context("cannot open /dev/null")?);
        let (output, theirs) = pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe")?;
        console::follow(&self.handle, Rc::new(output), name.to_owned());
        let errors = theirs.as_fd().try_clone_to_owned()?;
        Ok([nothing, theirs, errors])
    }

    fn service_says_ready(&mut self, at: usize, sender: Pid) {
        let Some(service) = self.services.get(at) else {
            return;
        };
        match service.state {
            State::Running { pid, .. } if pid == sender => {}
            _ => return tracing::warn!("process {sender} speaks for {}", service.recipe.name),
        }
        tracing::info!("{} is ready", service.recipe.name);
        if service.recipe.main {
            self.main_service_ready();
        } else {
            let name = service.recipe.name;
            self.helper_ready(name);
        }
    }

    /// The service of the role takes clients.
    pub(crate) fn main_service_ready(&mut self) {
        self.agent.service_ready();
        self.autostart();
    }

    /// Whether a process is a service that is ready when it takes clients.
    pub(crate) fn listens(&self, process: Pid) -> bool {
        self.services.iter().any(|service| {
            let Service { recipe, state, .. } = service;
            let runs = matches!(state, State::Running { pid, .. } if *pid == process);
            runs && recipe.readiness == Readiness::Listens
        })
    }

    /// Takes note that a process has ended, if it was a service.
    pub(crate) fn service_reaped(&mut self, ended: Pid, status: Ended) -> bool {
        let found = self.services.iter().position(
            |service| matches!(service.state, State::Running { pid, .. } if pid == ended),
        );
        let Some(at) = found else { return false };
        let service = &self.services[at];
        let since = match service.state {
            State::Running { since, .. } => since,
            State::Missing | State::Resting => Instant::now(),
        };
        tracing::warn!("{} has ended: {}", service.recipe.name, describe(status));
        if service.recipe.main {
            self.agent.service_ended(status);
        }
        self.rest(at, since);
        true
    }

    /// Waits before a service is started again.
    fn rest(&mut self, at: usize, since: Instant) {
        let Some(service) = self.services.get_mut(at) else {
            return;
        };
        service.state = State::Resting;
        let timer = Timer::from_duration(service.backoff.next(since.elapsed()));
        let inserted = self
            .handle
            .insert_source(timer, move |_, (), init: &mut Self| {
                init.start_service(at);
                TimeoutAction::Drop
            });
        if let Err(error) = inserted {
            tracing::error!("cannot start it again: {}", error.error);
        }
    }

    /// Hands a device to those that are given devices and do not have it yet.
    pub(crate) fn offer_device(&mut self, node: &str) {
        self.handovers().for_each(|handover| handover.offer(node));
    }

    /// The same with all devices there are.
    pub(crate) fn offer_all_devices(&mut self) {
        self.handovers().for_each(Handover::offer_all);
    }

    fn handovers(&mut self) -> impl Iterator<Item = &mut Handover> {
        self.services
            .iter_mut()
            .filter_map(|service| match &mut service.state {
                State::Running { handover, .. } => handover.as_mut(),
                State::Missing | State::Resting => None,
            })
    }
}

/// How a program has ended, for a person.
pub(crate) fn describe(status: Ended) -> String {
    match status {
        Ended::Exit(status) => format!("status {status}"),
        Ended::Signal(signal) => format!("signal {signal}"),
    }
}
