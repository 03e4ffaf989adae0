//! Connections of VMs, announced by the host over virtio_wl, on a calloop loop.
//!
//! The device may be away when the program starts, and may go and come back; the program waits,
//! says so once, and tries again.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::Duration;

use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use virtio_wl::label::VmId;
use virtio_wl::{Device, Listener, Peer};

use crate::connection::{Connection, Share};

/// First pause before the device is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause: what a user waits at most after a device came back.
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// Pause before a connection is accepted again that could not be for want of
/// descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The state of an event loop that takes connections of VMs.
pub trait Server: Sized + 'static {
    /// The way to the host, which the state keeps.
    fn host(&mut self) -> Option<&mut Host<Self>>;

    /// A connection has come.
    fn connected(&mut self, connection: Connection, peer: &Peer);

    /// Connections are announced from now on, for the first time or again.
    fn listening(&mut self);
}

/// The way to the host.
#[derive(Debug)]
pub struct Host<S> {
    handle: LoopHandle<'static, S>,
    /// Named context on which connections are announced.
    context: String,
    pause: Duration,
    /// Kept while it works: connections that came through it live on when only
    /// the announcements stop.
    device: Option<(Device, Option<RegistrationToken>)>,
    listener: Option<(Rc<Listener>, RegistrationToken)>,
    /// False while the server wants no more connections.
    accepting: bool,
    /// For as long as the program runs, also for VMs that are away.
    shares: BTreeMap<VmId, Rc<Share>>,
}

impl<S: Server> Host<S> {
    /// Nothing is opened before [`start`](Self::start).
    pub fn new(handle: LoopHandle<'static, S>, context: &str) -> Self {
        Self {
            handle,
            context: context.to_owned(),
            pause: FIRST_PAUSE,
            device: None,
            listener: None,
            accepting: true,
            shares: BTreeMap::new(),
        }
    }

    /// Connects now, or as soon as the device is there.
    pub fn start(server: &mut S) {
        let Some(host) = server.host() else {
            return;
        };
        match host.try_connect() {
            Ok(()) => {
                tracing::info!(context = %host.context, "listening for virtual machines");
                host.pause = FIRST_PAUSE;
                server.listening();
            }
            Err(error) => {
                // Once per absence, not once per try.
                if host.pause == FIRST_PAUSE {
                    tracing::warn!("waiting for the device: {}", chain(&error));
                }
                host.reconnect_later();
            }
        }
    }

    /// True if connections of VMs are announced to us.
    pub fn is_listening(&self) -> bool {
        self.listener.is_some()
    }

    /// Takes no more connections for now: they wait at the host, as long as it lets them.
    pub fn hold(&mut self) {
        self.accepting = false;
        if let Some((_, token)) = &self.listener
            && let Err(error) = self.handle.disable(token)
        {
            tracing::error!(%error, "cannot stop listening");
        }
    }

    /// Takes connections again. Not to be called from [`Server::connected`].
    pub fn resume(&mut self) {
        if self.accepting {
            return;
        }
        self.accepting = true;
        if let Some((_, token)) = &self.listener
            && let Err(error) = self.handle.enable(token)
        {
            tracing::error!(%error, "cannot listen again");
        }
        // One that could not be opened earlier does not make the listener readable.
        self.after(Duration::ZERO, accept_again);
    }

    /// Stops listening and tries again after a while.
    fn reconnect_later(&mut self) {
        if let Some((_, token)) = self.listener.take() {
            self.handle.remove(token);
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LAST_PAUSE);
        self.after(pause, Self::start);
    }

    fn after(&self, pause: Duration, then: impl Fn(&mut S) + 'static) {
        let timer = Timer::from_duration(pause);
        let fire = move |_, &mut (): &mut (), server: &mut S| {
            then(server);
            TimeoutAction::Drop
        };
        if let Err(error) = self.handle.insert_source(timer, fire) {
            tracing::error!(%error, "cannot set a timer");
        }
    }

    fn try_connect(&mut self) -> Result<(), HostError> {
        let device = match &self.device {
            Some((device, _)) => device.clone(),
            None => self.open()?,
        };
        let listener = match device.listen(&self.context) {
            Ok(listener) => Rc::new(listener),
            Err(error) => {
                let away = matches!(&error, virtio_wl::Error::Connect { source, .. }
                    if source.raw_os_error() == Some(libc::ENODEV));
                // Without a context the device itself may still be fine.
                if !away {
                    self.close();
                }
                return Err(error.into());
            }
        };
        let source = Generic::new(Announcements(listener.clone()), Interest::READ, Mode::Level);
        let token = self.handle.insert_source(source, |_, listener, server| {
            accept(&listener.0.clone(), server);
            Ok(PostAction::Continue)
        });
        let token = token.map_err(|error| HostError::Watch(error.error))?;
        if !self.accepting {
            self.handle.disable(&token).map_err(HostError::Watch)?;
        }
        self.listener = Some((listener, token));
        Ok(())
    }

    fn open(&mut self) -> Result<Device, HostError> {
        let device = Device::open()?;
        let mut watch = None;
        if device.event_fd().is_some() {
            let events = Generic::new(Events(device.clone()), Interest::READ, Mode::Level);
            let token = self.handle.insert_source(events, |_, events, server| {
                dispatch(&events.0.clone(), server);
                Ok(PostAction::Continue)
            });
            watch = Some(token.map_err(|error| HostError::Watch(error.error))?);
        }
        self.device = Some((device.clone(), watch));
        Ok(device)
    }

    fn close(&mut self) {
        if let Some((_, Some(token))) = self.device.take() {
            self.handle.remove(token);
        }
    }
}

/// Why the host cannot be listened to now.
#[derive(Debug, thiserror::Error)]
enum HostError {
    #[error(transparent)]
    Device(#[from] virtio_wl::Error),
    #[error("cannot be watched")]
    Watch(#[source] calloop::Error),
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A device whose traffic this process moves itself.
#[derive(Debug)]
struct Events(Device);

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0.event_fd() {
            Some(fd) => fd,
            // Made only of devices that have one, and they keep it.
            None => unreachable!("device without an event descriptor"),
        }
    }
}

/// The listener, also kept by [`Host`] to accept without being told.
#[derive(Debug)]
struct Announcements(Rc<Listener>);

impl AsFd for Announcements {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn dispatch<S: Server>(device: &Device, server: &mut S) {
    let Err(error) = device.dispatch() else {
        return;
    };
    tracing::warn!(%error, "the device is gone");
    if let Some(host) = server.host() {
        host.close();
        host.reconnect_later();
    }
}

/// Takes one connection; the listener stays readable while there are more.
fn accept<S: Server>(listener: &Listener, server: &mut S) {
    let Some(host) = server.host() else {
        return;
    };
    match listener.accept() {
        Ok((channel, peer)) => {
            let Some((device, _)) = &host.device else {
                return;
            };
            let share = Rc::clone(host.shares.entry(peer.vm_id).or_default());
            let connection = Connection::new(channel, device.clone(), share);
            server.connected(connection, &peer);
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            tracing::warn!("the host stopped announcing connections");
            host.reconnect_later();
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection now");
            // The listener does not become readable for this one again.
            host.after(ACCEPT_PAUSE, accept_again);
        }
    }
}

fn accept_again<S: Server>(server: &mut S) {
    let listener = server
        .host()
        .filter(|host| host.accepting)
        .and_then(|host| host.listener.as_ref());
    if let Some((listener, _)) = listener {
        accept(&listener.clone(), server);
    }
}
