//! Sockets, timers and signals around the desk.
//!
//! One thread, one event loop, no call that waits for a peer. After every turn of the
//! loop the desk's effects are carried out, and the next deadline bounds the next wait.

mod announce;
mod control;
mod reload;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use calloop::generic::Generic;
use calloop::signals::{Signal, Signals};
use calloop::{EventLoop, Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use virtio_wl::host::listener::{Activated, Listener};
use virtio_wl::label::VmName;

use crate::config::{Compositor, Config, VmConfig};
use crate::desk::{Desk, Effect};
use announce::Announcer;
use control::Link;

/// Connections accepted from one socket before others have their turn.
const ACCEPTS_PER_TURN: usize = 16;

/// How long listening sockets rest when the host has no descriptor left: closing a
/// connection gives no event by which to wait for one.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// The proxy and its event loop.
#[derive(Debug)]
pub struct Server {
    event_loop: EventLoop<'static, Proxy>,
    proxy: Proxy,
}

/// What the callbacks work on.
#[derive(Debug)]
struct Proxy {
    handle: LoopHandle<'static, Proxy>,
    stopped: bool,
    config_path: PathBuf,
    compositor: Compositor,
    desk: Desk<UnixStream>,
    doors: BTreeMap<VmName, Door>,
    link: Link,
    announcer: Announcer,
    /// No accepting before, for want of descriptors.
    rest_until: Option<Instant>,
}

/// A VM's listening socket in the loop.
#[derive(Debug)]
struct Door {
    config: VmConfig,
    token: RegistrationToken,
    /// Polled. When it is not, clients wait in the kernel's backlog.
    open: bool,
}

impl Server {
    /// Listens for all VMs of `config`, on sockets the service manager gave or its own,
    /// and for the device. Signals are blocked from here on and taken by the loop.
    ///
    /// # Errors
    ///
    /// A socket cannot be made, or the host lacks a resource; the chain says which.
    pub fn new(
        config_path: PathBuf,
        config: Config,
        activated: &mut Activated,
    ) -> anyhow::Result<Self> {
        let event_loop = EventLoop::try_new().context("cannot make an event loop")?;
        let handle = event_loop.handle();
        let signals = Signals::new(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP])
            .context("cannot take signals")?;
        insert(&handle, signals, |event, (), proxy| match event.signal() {
            Signal::SIGHUP => proxy.reload(),
            _ => proxy.stopped = true,
        })?;
        let compositor = config.compositor.clone();
        let announcer = Announcer::listen(&handle, &compositor)?;
        let mut desk = Desk::new(compositor.announce.clone(), compositor.unclaimed_timeout);
        desk.set_vms(config.labels());
        let mut proxy = Proxy {
            handle,
            stopped: false,
            config_path,
            compositor,
            desk,
            doors: BTreeMap::new(),
            link: Link::new(Instant::now()),
            announcer,
            rest_until: None,
        };
        for vm in config.vms {
            let name = &vm.label.name;
            let listener = vm.endpoint.open(name, activated);
            let listener = listener.with_context(|| format!("VM {name}"))?;
            proxy.open_door(vm, listener)?;
        }
        Ok(Self { event_loop, proxy })
    }

    /// Runs until SIGTERM or SIGINT.
    ///
    /// # Errors
    ///
    /// The loop itself fails.
    pub fn run(&mut self) -> anyhow::Result<()> {
        while !self.proxy.stopped {
            let deadline = self.proxy.settle(Instant::now());
            let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            self.event_loop.dispatch(timeout, &mut self.proxy)?;
        }
        Ok(())
    }
}

impl Proxy {
    /// Does what is due, and says when something will be.
    fn settle(&mut self, now: Instant) -> Option<Instant> {
        self.maintain_link(now);
        let desk = self.desk.tick(now);
        self.carry_out(now);
        self.flush_records();
        self.rest_until = self.rest_until.filter(|until| *until > now);
        self.set_doors();
        let link = self.link.deadline(self.desk.awaits_answer());
        [desk, link, self.rest_until].into_iter().flatten().min()
    }

    fn carry_out(&mut self, now: Instant) {
        while let Some(effect) = self.desk.next_effect() {
            match effect {
                Effect::Announce(record) => self.announcer.push(&record),
                Effect::Request {
                    request,
                    connection,
                } => self.send(&request, connection.as_deref(), now),
            }
        }
    }

    /// Polls exactly those sockets from which a connection may be accepted.
    fn set_doors(&mut self) {
        let resting = self.rest_until.is_some();
        for (name, door) in &mut self.doors {
            let open = !resting && self.desk.has_room(name);
            if open == door.open {
                continue;
            }
            let changed = if open {
                self.handle.enable(&door.token)
            } else {
                self.handle.disable(&door.token)
            };
            match changed {
                Ok(()) => door.open = open,
                Err(error) => tracing::error!(vm = %name, %error, "cannot change polling"),
            }
        }
    }

    fn open_door(&mut self, config: VmConfig, listener: Listener) -> anyhow::Result<()> {
        let name = config.label.name.clone();
        let source = Generic::new(listener, Interest::READ, Mode::Level);
        let token = insert(&self.handle, source, {
            let name = name.clone();
            move |_, listener, proxy| {
                proxy.accept(&name, listener);
                Ok(PostAction::Continue)
            }
        })?;
        let open = true;
        let door = Door {
            config,
            token,
            open,
        };
        self.doors.insert(name, door);
        Ok(())
    }

    fn accept(&mut self, name: &VmName, listener: &Listener) {
        for _ in 0..ACCEPTS_PER_TURN {
            if !self.desk.has_room(name) {
                return;
            }
            match listener.accept() {
                Ok(Some(connection)) => self.desk.accepted(name, connection),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(vm = %name, %error, "cannot accept, resting");
                    self.rest_until = Instant::now().checked_add(OUT_OF_DESCRIPTORS);
                    return;
                }
            }
        }
    }
}

/// `insert_source` whose error does not hold the source.
fn insert<S, F>(
    handle: &LoopHandle<'static, Proxy>,
    source: S,
    callback: F,
) -> anyhow::Result<RegistrationToken>
where
    S: calloop::EventSource + 'static,
    F: FnMut(S::Event, &mut S::Metadata, &mut Proxy) -> S::Ret + 'static,
{
    let inserted = handle.insert_source(source, callback);
    inserted.map_err(|error| io::Error::other(error.error).into())
}
