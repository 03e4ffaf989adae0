//! The state of the event loop: connections are accepted, connected to the compositor, and served.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Context as _;
use calloop::generic::Generic;
use calloop::signals::{Signal, Signals};
use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventLoop, Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use virtio_wl::Peer;
use virtio_wl::label::VmId;
use virtio_wl_bridge::link::RETRY;
use virtio_wl_bridge::{Connection, Host, Server};
use virtio_wl_security_context::Error;

use crate::appear::Appear;
use crate::display::Display;
use crate::labels::{Labels, Policy, Way};
use crate::vm::{LinkId, Vm};

/// First pause before the compositor is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause: what a user waits at most after a compositor came back unnoticed.
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// The relay. Data of the event loop.
#[derive(Debug)]
pub struct Relay {
    handle: LoopHandle<'static, Self>,
    host: Option<Host<Self>>,
    display: Display,
    vms: BTreeMap<VmId, Entry>,
    /// Links there have been, to name them.
    links: u64,
    /// Accepted and not connected yet. While there is one, others wait at the host.
    waiting: Option<Waiting>,
    appear: Appear,
    labels: Labels,
    /// What the compositor says of labels is watched.
    hears: bool,
    /// Tells once that connections are announced.
    on_ready: Option<fn()>,
}

#[derive(Debug)]
struct Entry {
    vm: Vm,
    source: RegistrationToken,
    /// It was said that it has too many connections.
    full: bool,
}

/// A connection for which there is no compositor yet.
#[derive(Debug)]
struct Waiting {
    connection: Connection,
    peer: Peer,
    /// Before the next try.
    pause: Duration,
    timer: Option<RegistrationToken>,
}

/// Relays until a signal asks it to stop. `on_ready` is called when connections are announced for
/// the first time.
///
/// # Errors
/// The event loop cannot be made, or fails.
pub fn run(context: &str, display: Display, labels: Policy, on_ready: fn()) -> anyhow::Result<()> {
    let mut event_loop = EventLoop::try_new().context("cannot create the event loop")?;
    let handle = event_loop.handle();
    let signals = Signals::new(&[Signal::SIGTERM, Signal::SIGINT]);
    let stop = event_loop.get_signal();
    handle
        .insert_source(signals.context("signals")?, move |event, (), _| {
            tracing::info!(signal = ?event.signal(), "asked to stop");
            stop.stop();
        })
        .map_err(|error| error.error)
        .context("signals")?;
    let mut relay = Relay::new(handle, context, display, labels, on_ready)?;
    Host::start(&mut relay);
    event_loop
        .run(None, &mut relay, |_| {})
        .context("event loop")
}

impl Relay {
    /// For a loop with this handle. Nothing is opened before [`Host::start`].
    ///
    /// # Errors
    /// The compositor's directory cannot be watched for want of descriptors or memory.
    pub fn new(
        handle: LoopHandle<'static, Self>,
        context: &str,
        display: Display,
        labels: Policy,
        on_ready: fn(),
    ) -> anyhow::Result<Self> {
        let appear = Appear::new().context("inotify")?;
        let hints = Generic::new(appear.events()?, Interest::READ, Mode::Level);
        handle
            .insert_source(hints, |_, _, relay: &mut Self| {
                if relay.appear.take(&relay.display)? {
                    relay.hurry();
                }
                Ok(PostAction::Continue)
            })
            .map_err(|error| error.error)
            .context("inotify")?;
        Ok(Self {
            host: Some(Host::new(handle.clone(), context)),
            handle,
            display,
            vms: BTreeMap::new(),
            links: 0,
            waiting: None,
            appear,
            labels: Labels::new(labels),
            hears: false,
            on_ready: Some(on_ready),
        })
    }

    /// Connects the waiting connection, if there is one, or sees to it that it is tried again.
    fn progress(&mut self) {
        let Some(waiting) = self.take_waiting() else {
            return;
        };
        let vms = &self.vms;
        let is_used = |id| vms.contains_key(&id);
        let way = self.labels.way(&waiting.peer, &self.display, is_used);
        self.go(waiting, way);
    }

    /// The waiting connection, without its timer.
    fn take_waiting(&mut self) -> Option<Waiting> {
        let mut waiting = self.waiting.take()?;
        if let Some(timer) = waiting.timer.take() {
            self.handle.remove(timer);
        }
        Some(waiting)
    }

    /// Connects a connection by a way, if there is one.
    fn go(&mut self, waiting: Waiting, way: io::Result<Way>) {
        match way {
            Ok(Way::Later) => match self.hear() {
                Ok(()) => {
                    self.waiting = Some(waiting);
                    return;
                }
                Err(error) => return self.try_later(waiting, &error),
            },
            Ok(Way::Open(socket)) => self.join(waiting, socket),
            Ok(Way::Refused) => {}
            Err(error) => return self.try_later(waiting, &error),
        }
        self.appear.rest();
        if let Some(host) = &mut self.host {
            host.resume();
        }
    }

    /// Tries to connect again after a pause, or when the compositor's socket appears.
    fn try_later(&mut self, mut waiting: Waiting, error: &dyn std::fmt::Display) {
        // Once per absence.
        if waiting.pause == FIRST_PAUSE {
            let path = self.display.path().display();
            tracing::warn!(%error, "waiting for the compositor at {path}");
        }
        self.appear.watch(&self.display);
        let timer = after(&self.handle, waiting.pause, |relay| {
            if let Some(waiting) = &mut relay.waiting {
                waiting.timer = None;
            }
            relay.progress();
            None
        });
        waiting.pause = (2 * waiting.pause).min(LAST_PAUSE);
        waiting.timer = timer;
        self.waiting = Some(waiting);
    }

    /// Watches what the compositor says of labels.
    fn hear(&mut self) -> io::Result<()> {
        if self.hears {
            return Ok(());
        }
        let Some(events) = self.labels.events() else {
            return Ok(());
        };
        let source = Generic::new(events?, Interest::READ, Mode::Level);
        let heard = |_, _: &mut _, relay: &mut Self| {
            Ok(match relay.heard() {
                true => PostAction::Continue,
                false => PostAction::Remove,
            })
        };
        self.handle
            .insert_source(source, heard)
            .map_err(|error| io::Error::other(error.error))?;
        self.hears = true;
        Ok(())
    }

    /// The compositor has said something; false if that was the last.
    fn heard(&mut self) -> bool {
        let Err(error) = self.labels.hear() else {
            self.progress();
            return true;
        };
        self.hears = false;
        tracing::debug!(%error, "the compositor says no more of labels");
        if let Some(waiting) = self.take_waiting() {
            match error {
                // Not the next time, perhaps; this one has waited for long enough.
                Error::Refused(_) => {
                    let way = self.labels.unlabelled(&self.display, &error);
                    self.go(waiting, way);
                }
                // At once would be again and again, with a compositor that takes no clients.
                _ => self.try_later(waiting, &error),
            }
        }
        false
    }

    /// The compositor's socket has appeared. It listens at once, or very soon.
    fn hurry(&mut self) {
        if let Some(waiting) = &mut self.waiting {
            // Not the first one, which says so.
            waiting.pause = 2 * FIRST_PAUSE;
            self.progress();
        }
    }

    fn join(&mut self, waiting: Waiting, socket: UnixStream) {
        let Waiting {
            connection, peer, ..
        } = waiting;
        let id = LinkId(self.links);
        self.links += 1;
        let joined = self.entry(&peer).and_then(|entry| {
            entry.full = false;
            entry.vm.add(id, Box::new(connection), socket)
        });
        if let Err(error) = joined {
            tracing::warn!(vm = %peer.vm_name, %error, "cannot serve a connection");
        }
    }

    /// The VM of a connection, made if need be.
    fn entry(&mut self, peer: &Peer) -> io::Result<&mut Entry> {
        use std::collections::btree_map::Entry::{Occupied, Vacant};
        match self.vms.entry(peer.vm_id) {
            Occupied(entry) => Ok(entry.into_mut()),
            Vacant(place) => {
                let vm = Vm::new(peer.vm_name.clone())?;
                let source = watch(&self.handle, peer.vm_id, vm.events()?)?;
                tracing::debug!(vm = %peer.vm_name, id = %peer.vm_id, "has a connection");
                Ok(place.insert(Entry {
                    vm,
                    source,
                    full: false,
                }))
            }
        }
    }

    /// Serves some events of a VM; false once it has no connection.
    fn turn(&mut self, id: VmId) -> io::Result<bool> {
        let Some(entry) = self.vms.get_mut(&id) else {
            return Ok(false);
        };
        for link in entry.vm.turn()? {
            let retry = move |relay: &mut Self| relay.retry(id, link);
            after(&self.handle, RETRY, retry);
        }
        if entry.vm.is_empty() {
            tracing::debug!(vm = %entry.vm.name(), "has no connection any more");
            self.vms.remove(&id);
            return Ok(false);
        }
        Ok(true)
    }

    fn retry(&mut self, id: VmId, link: LinkId) -> Option<Duration> {
        let entry = self.vms.get_mut(&id)?;
        let pause = entry.vm.retry(link);
        if entry.vm.is_empty() {
            let source = entry.source;
            self.vms.remove(&id);
            self.handle.remove(source);
        }
        pause
    }
}

impl Server for Relay {
    fn host(&mut self) -> Option<&mut Host<Self>> {
        self.host.as_mut()
    }

    fn connected(&mut self, connection: Connection, peer: &Peer) {
        if let Some(entry) = self.vms.get_mut(&peer.vm_id)
            && !entry.vm.has_room()
        {
            // Once, until it has room again.
            if !std::mem::replace(&mut entry.full, true) {
                tracing::warn!(vm = %peer.vm_name, "refused: it has too many connections");
            }
            return;
        }
        self.waiting = Some(Waiting {
            connection,
            peer: peer.clone(),
            pause: FIRST_PAUSE,
            timer: None,
        });
        self.progress();
        if let Some(host) = self.host.as_mut().filter(|_| self.waiting.is_some()) {
            host.hold();
        }
    }

    fn listening(&mut self) {
        if let Some(on_ready) = self.on_ready.take() {
            on_ready();
        }
    }
}

/// Watches the connections of a VM.
fn watch(
    handle: &LoopHandle<'static, Relay>,
    id: VmId,
    events: OwnedFd,
) -> io::Result<RegistrationToken> {
    let source = Generic::new(events, Interest::READ, Mode::Level);
    let turn = move |_, _: &mut _, relay: &mut Relay| {
        Ok(match relay.turn(id)? {
            true => PostAction::Continue,
            false => PostAction::Remove,
        })
    };
    handle
        .insert_source(source, turn)
        .map_err(|error| io::Error::other(error.error))
}

/// Calls `then` after a pause, and again after each that it answers.
fn after(
    handle: &LoopHandle<'static, Relay>,
    pause: Duration,
    mut then: impl FnMut(&mut Relay) -> Option<Duration> + 'static,
) -> Option<RegistrationToken> {
    let fire = move |_, (): &mut (), relay: &mut Relay| match then(relay) {
        Some(pause) => TimeoutAction::ToDuration(pause),
        None => TimeoutAction::Drop,
    };
    match handle.insert_source(Timer::from_duration(pause), fire) {
        Ok(token) => Some(token),
        Err(error) => {
            tracing::error!(%error, "cannot set a timer");
            None
        }
    }
}
