//! Sockets, timers and signals around the sessions.
//!
//! One thread, one event loop, no call that waits for a peer. Each readiness of a
//! connection serves at most one request, so connections and VMs take turns.

mod connection;
mod descriptors;
mod reload;
mod stream;
mod vm;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use calloop::generic::Generic;
use calloop::signals::{Signal, Signals};
use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventLoop, Interest, LoopHandle, LoopSignal, Mode, PostAction};
use virtio_wl::host::ledger::{Account, Ledger};
use virtio_wl::host::listener::{Activated, Listener};
use virtio_wl::label::VmName;

use crate::config::{Config, VmConfig};

pub use descriptors::{check_watch_limit, raise_descriptor_limit};
use stream::Next;
use vm::Vm;

/// Connections accepted from one socket before others have their turn.
const ACCEPTS_PER_TURN: usize = 16;

/// How long a listening socket rests when the host has no descriptor left: closing a
/// connection gives no event by which to wait for one.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// The server's state; everything happens in callbacks of its event loop.
#[derive(Debug)]
pub struct Server {
    handle: LoopHandle<'static, Server>,
    signal: LoopSignal,
    config_path: PathBuf,
    ledger: Ledger,
    vms: BTreeMap<VmName, Vm>,
    /// Of every VM there has been: what it holds outlives its configuration.
    accounts: HashMap<VmName, Account>,
    next_connection: u64,
}

impl Server {
    /// A server that listens nowhere yet, and the loop to run it in. Signals are
    /// blocked from here on and taken by the loop.
    ///
    /// # Errors
    ///
    /// The host lacks a resource; the chain says which.
    pub fn new(config_path: PathBuf) -> anyhow::Result<(Self, EventLoop<'static, Self>)> {
        let event_loop = EventLoop::try_new().context("cannot make an event loop")?;
        let handle = event_loop.handle();
        let ledger = Ledger::new()
            .context("cannot watch memory (fs.inotify.max_user_instances used up?)")?;
        let events = ledger.descriptor().context("cannot watch memory")?;
        insert(
            &handle,
            Generic::new(events, Interest::READ, Mode::Level),
            {
                |_, _, server: &mut Self| {
                    server.memory_freed();
                    Ok(PostAction::Continue)
                }
            },
        )?;
        let signals = Signals::new(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP])
            .context("cannot take signals")?;
        insert(
            &handle,
            signals,
            |event, (), server: &mut Self| match event.signal() {
                Signal::SIGHUP => server.reload(),
                _ => server.signal.stop(),
            },
        )?;
        let server = Self {
            handle,
            signal: event_loop.get_signal(),
            config_path,
            ledger,
            vms: BTreeMap::new(),
            accounts: HashMap::new(),
            next_connection: 0,
        };
        Ok((server, event_loop))
    }

    /// Listens for all VMs of `config`, on sockets the service manager gave or its own.
    ///
    /// # Errors
    ///
    /// A socket cannot be made; the chain says which.
    pub fn start(&mut self, config: &Config, activated: &mut Activated) -> anyhow::Result<()> {
        for vm in &config.vms {
            let name = &vm.name;
            let listener = vm.endpoint.open(name, activated);
            let listener = listener.with_context(|| format!("VM {name}"))?;
            self.add_vm(vm.clone(), listener)?;
        }
        Ok(())
    }

    fn add_vm(&mut self, config: VmConfig, listener: Listener) -> anyhow::Result<()> {
        let name = config.name.clone();
        let account = self
            .accounts
            .entry(name.clone())
            .or_insert_with(|| Account::new(config.limits))
            .clone();
        account.set_limits(config.limits);
        let source = Generic::new(listener, Interest::READ, Mode::Level);
        let token = insert(&self.handle, source, {
            let name = name.clone();
            move |_, listener, server: &mut Self| Ok(server.accept(&name, listener))
        })?;
        self.vms.insert(name, Vm::new(config, account, token));
        Ok(())
    }

    fn accept(&mut self, name: &VmName, listener: &Listener) -> PostAction {
        for _ in 0..ACCEPTS_PER_TURN {
            match listener.accept() {
                Ok(Some(stream)) => self.connected(name, stream),
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(vm = %name, %error, "cannot accept, resting");
                    return self.rest(name);
                }
            }
        }
        PostAction::Continue
    }

    /// Leaves the listening socket alone for a moment.
    fn rest(&mut self, name: &VmName) -> PostAction {
        let name = name.clone();
        let timer = Timer::from_duration(OUT_OF_DESCRIPTORS);
        let woken = self.handle.insert_source(timer, move |_, (), server| {
            if let Some(vm) = server.vms.get(&name)
                && let Err(error) = server.handle.enable(&vm.listener)
            {
                tracing::error!(vm = %name, %error, "cannot listen again");
            }
            TimeoutAction::Drop
        });
        match woken {
            Ok(_) => PostAction::Disable,
            // Without a timer nobody would wake it: better busy than deaf.
            Err(_) => PostAction::Continue,
        }
    }

    fn connected(&mut self, name: &VmName, stream: std::os::unix::net::UnixStream) {
        let Some(vm) = self.vms.get_mut(name) else {
            return;
        };
        if !vm.has_room() {
            return;
        }
        let id = self.next_connection;
        self.next_connection += 1;
        let result = vm.connect(id, stream, |source| {
            let name = name.clone();
            insert(&self.handle, source, move |(), (), server: &mut Self| {
                server.advance(&name, id)
            })
        });
        if let Err(error) = result {
            tracing::warn!(vm = %name, error = format!("{error:#}"), "cannot serve connection");
        }
    }

    /// A connection can go on.
    fn advance(&mut self, name: &VmName, id: u64) -> Next {
        let Some(vm) = self.vms.get_mut(name) else {
            return Next::Close;
        };
        let next = vm.advance(id, &mut self.ledger, Instant::now());
        if next == Next::Park {
            self.arm(name);
        }
        next
    }

    /// Wakes the VM's parked connections when their turn has come.
    fn arm(&mut self, name: &VmName) {
        let vm = self.vms.get_mut(name);
        let Some(wait) = vm.and_then(|vm| vm.wants_timer(Instant::now())) else {
            return;
        };
        let timer = Timer::from_duration(wait);
        let name = name.clone();
        let armed = self.handle.insert_source(timer, move |_, (), server| {
            let handle = server.handle.clone();
            let vm = server.vms.get_mut(&name);
            match vm.and_then(|vm| vm.unpark(&handle, Instant::now())) {
                Some(wait) => TimeoutAction::ToDuration(wait),
                None => TimeoutAction::Drop,
            }
        });
        if let Err(error) = armed {
            tracing::error!(%error, "cannot set a timer");
            self.signal.stop();
        }
    }

    fn memory_freed(&mut self) {
        match self.ledger.dispatch() {
            Ok(freed) => tracing::trace!(?freed, "memory returned"),
            Err(error) => tracing::error!(%error, "cannot see which memory has been returned"),
        }
    }
}

/// `insert_source` whose error does not hold the source.
fn insert<S, F>(
    handle: &LoopHandle<'static, Server>,
    source: S,
    callback: F,
) -> anyhow::Result<calloop::RegistrationToken>
where
    S: calloop::EventSource + 'static,
    F: FnMut(S::Event, &mut S::Metadata, &mut Server) -> S::Ret + 'static,
{
    let inserted = handle.insert_source(source, callback);
    inserted.map_err(|error| io::Error::other(error.error).into())
}
