//! Connections of VMs, announced by the host over virtio_wl.
//!
//! The device may be away when the compositor starts, and may go and come
//! back; the compositor waits, says so once, and tries again.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::Duration;

use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use virtio_wl::{Device, Listener};

use crate::bridge::{Connection, Keymaps};
use crate::core::VmId;
use crate::state::Compositor;

/// First pause before the device is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause: what a user waits at most after a device came back.
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// Pause before a connection is accepted again that could not be for want of
/// descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The way to the host.
#[derive(Debug)]
pub(crate) struct Host {
    /// Named context on which connections are announced.
    context: String,
    pause: Duration,
    /// Kept while it works: connections that came through it live on when only
    /// the announcements stop.
    device: Option<(Device, Option<RegistrationToken>)>,
    listener: Option<(Rc<Listener>, RegistrationToken)>,
    /// For as long as the compositor runs, also for VMs that are away.
    keymaps: BTreeMap<VmId, Rc<Keymaps>>,
}

/// Connects now, or as soon as the device is there.
pub(crate) fn listen(compositor: &mut Compositor, context: &str) {
    compositor.host = Some(Host {
        context: context.to_owned(),
        pause: FIRST_PAUSE,
        device: None,
        listener: None,
        keymaps: BTreeMap::new(),
    });
    connect(compositor);
}

fn connect(compositor: &mut Compositor) {
    let handle = compositor.handle().clone();
    let Some(host) = &mut compositor.host else {
        return;
    };
    match host.try_connect(&handle) {
        Ok(()) => {
            tracing::info!(context = %host.context, "listening for virtual machines");
            host.pause = FIRST_PAUSE;
            compositor.changed = true;
        }
        Err(error) => {
            // Once per absence, not once per try.
            if host.pause == FIRST_PAUSE {
                tracing::warn!("waiting for the device: {error:#}");
            }
            reconnect_later(compositor);
        }
    }
}

/// Stops listening and tries again after a while.
fn reconnect_later(compositor: &mut Compositor) {
    let handle = compositor.handle().clone();
    let Some(host) = &mut compositor.host else {
        return;
    };
    if let Some((_, token)) = host.listener.take() {
        handle.remove(token);
    }
    let pause = host.pause;
    host.pause = (pause * 2).min(LAST_PAUSE);
    after(&handle, pause, connect);
}

fn after(
    handle: &LoopHandle<'static, Compositor>,
    pause: Duration,
    then: impl Fn(&mut Compositor) + 'static,
) {
    let timer = Timer::from_duration(pause);
    let fire = move |_, &mut (): &mut (), compositor: &mut Compositor| {
        then(compositor);
        TimeoutAction::Drop
    };
    if let Err(error) = handle.insert_source(timer, fire) {
        tracing::error!(%error, "cannot set a timer");
    }
}

impl Host {
    /// True if connections of VMs are announced to us.
    pub(crate) fn is_listening(&self) -> bool {
        self.listener.is_some()
    }

    fn try_connect(&mut self, handle: &LoopHandle<'static, Compositor>) -> anyhow::Result<()> {
        let device = match &self.device {
            Some((device, _)) => device.clone(),
            None => self.open(handle)?,
        };
        let listener = match device.listen(&self.context) {
            Ok(listener) => Rc::new(listener),
            Err(error) => {
                let away = matches!(&error, virtio_wl::Error::Connect { source, .. }
                    if source.raw_os_error() == Some(libc::ENODEV));
                // Without a context the device itself may still be fine.
                if !away {
                    self.close(handle);
                }
                return Err(error.into());
            }
        };
        let source = Generic::new(Announcements(listener.clone()), Interest::READ, Mode::Level);
        let token = handle
            .insert_source(source, |_, listener, compositor| {
                accept(&listener.0.clone(), compositor);
                Ok(PostAction::Continue)
            })
            .map_err(|error| anyhow::anyhow!("cannot watch the listener: {error}"))?;
        self.listener = Some((listener, token));
        Ok(())
    }

    fn open(&mut self, handle: &LoopHandle<'static, Compositor>) -> anyhow::Result<Device> {
        let device = Device::open()?;
        let mut watch = None;
        if device.event_fd().is_some() {
            let events = Generic::new(Events(device.clone()), Interest::READ, Mode::Level);
            let token = handle
                .insert_source(events, |_, events, compositor| {
                    dispatch(&events.0.clone(), compositor);
                    Ok(PostAction::Continue)
                })
                .map_err(|error| anyhow::anyhow!("cannot watch the device: {error}"))?;
            watch = Some(token);
        }
        self.device = Some((device.clone(), watch));
        Ok(device)
    }

    fn close(&mut self, handle: &LoopHandle<'static, Compositor>) {
        if let Some((_, Some(token))) = self.device.take() {
            handle.remove(token);
        }
    }
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

fn dispatch(device: &Device, compositor: &mut Compositor) {
    let Err(error) = device.dispatch() else {
        return;
    };
    tracing::warn!(%error, "the device is gone");
    let handle = compositor.handle().clone();
    if let Some(host) = &mut compositor.host {
        host.close(&handle);
    }
    reconnect_later(compositor);
}

/// Takes one connection; the listener stays readable while there are more.
fn accept(listener: &Listener, compositor: &mut Compositor) {
    match listener.accept() {
        Ok((channel, peer)) => {
            let vm = VmId(u64::from(peer.vm_id.0));
            let Some(Host {
                device: Some((device, _)),
                keymaps,
                ..
            }) = &mut compositor.host
            else {
                return;
            };
            let keymaps = Rc::clone(keymaps.entry(vm).or_default());
            let connection = Connection::new(channel, device.clone(), keymaps);
            compositor.add_client(vm, &peer.vm_name, peer.colour, Box::new(connection));
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            tracing::warn!("the host stopped announcing connections");
            reconnect_later(compositor);
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection now");
            // The listener does not become readable for this one again.
            let handle = compositor.handle().clone();
            after(&handle, ACCEPT_PAUSE, |compositor| {
                let listener = compositor.host.as_ref().and_then(|h| h.listener.as_ref());
                if let Some((listener, _)) = listener {
                    accept(&listener.clone(), compositor);
                }
            });
        }
    }
}
