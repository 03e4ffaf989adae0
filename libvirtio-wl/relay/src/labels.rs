//! Telling the compositor which VM a connection comes from, if it can be told.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use virtio_wl::Peer;
use virtio_wl::label::VmId;
use virtio_wl_security_context::{Announcer, Context, Error, Identity};

use crate::display::Display;
use crate::door::Door;

#[cfg(test)]
mod tests;

/// VMs without a connection that the compositor remains told of, so that one that comes and goes
/// does not make it listen anew each time.
const MAX_IDLE: usize = 16;

/// Whether connections are labelled with their VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Policy {
    /// If the compositor can be told
    Auto,
    /// Always; a compositor that cannot be told gets no connection
    Require,
    /// Never
    Off,
}

/// What the compositor has been told.
#[derive(Debug)]
pub struct Labels {
    policy: Policy,
    announcer: Option<Announcer>,
    vms: BTreeMap<VmId, Labelled>,
    /// Counts up, to tell which VM was idle longest.
    clock: u64,
    /// It was said that this compositor cannot be told.
    said: bool,
}

/// A VM that the compositor has been told of.
#[derive(Debug)]
struct Labelled {
    door: Door,
    context: Context,
    used: u64,
}

/// How a connection gets to the compositor.
#[derive(Debug)]
pub enum Way {
    /// By this socket.
    Open(UnixStream),
    /// Not known before the compositor says more: see [`Labels::events`].
    Later,
    /// Not at all.
    Refused,
}

impl Labels {
    /// Nothing has been told.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            announcer: None,
            vms: BTreeMap::new(),
            clock: 0,
            said: false,
        }
    }

    /// A way to the compositor for a connection of this VM. `is_used` says of a VM whether it has
    /// connections.
    ///
    /// # Errors
    /// The compositor cannot be reached now.
    pub fn way(
        &mut self,
        peer: &Peer,
        display: &Display,
        is_used: impl Fn(VmId) -> bool,
    ) -> io::Result<Way> {
        if self.policy == Policy::Off {
            return display.connect().map(Way::Open);
        }
        let Some(announcer) = &mut self.announcer else {
            let socket = display.connect()?;
            self.announcer = Some(Announcer::new(socket).map_err(io::Error::other)?);
            return Ok(Way::Later);
        };
        match announcer.support() {
            None => return Ok(Way::Later),
            Some(false) => return self.unlabelled(display, &Error::Unsupported),
            Some(true) => {}
        }
        self.clock += 1;
        if let Some(vm) = self.vms.get_mut(&peer.vm_id) {
            vm.used = self.clock;
            return match announcer.has_confirmed(&vm.context) {
                true => vm.door.connect().map(Way::Open),
                false => Ok(Way::Later),
            };
        }
        let door = Door::new(display.directory())?;
        let identity = Identity::new(&peer.vm_name, peer.vm_id);
        let context = announcer
            .announce(&door, &identity)
            .map_err(io::Error::other)?;
        self.forget_idle(is_used);
        let used = self.clock;
        let labelled = Labelled {
            door,
            context,
            used,
        };
        self.vms.insert(peer.vm_id, labelled);
        Ok(Way::Later)
    }

    /// What to poll for reading after [`Way::Later`], to call [`hear`](Self::hear): also says when
    /// the compositor ends. A duplicate, for an event loop to own; none while nothing is said.
    #[must_use]
    pub fn events(&self) -> Option<io::Result<OwnedFd>> {
        let announcer = self.announcer.as_ref()?;
        Some(announcer.as_fd().try_clone_to_owned())
    }

    /// Takes in what the compositor has said.
    ///
    /// # Errors
    /// It has ended, or wants to hear no more: all is forgotten, its socket may be tried again.
    pub fn hear(&mut self) -> Result<(), Error> {
        let Some(announcer) = &mut self.announcer else {
            return Ok(());
        };
        announcer.dispatch().inspect_err(|error| {
            // What is still in line at a door is closed with it.
            self.vms.clear();
            self.announcer = None;
            // One that refuses will do so again.
            self.said &= matches!(error, Error::Refused(_));
        })
    }

    /// A way without a label, or none, as the policy says.
    ///
    /// # Errors
    /// The compositor cannot be reached now.
    pub fn unlabelled(&mut self, display: &Display, why: &Error) -> io::Result<Way> {
        // Once for each compositor.
        let said = std::mem::replace(&mut self.said, true);
        if self.policy == Policy::Require {
            if !said {
                tracing::warn!("connections are refused, as they cannot be labelled: {why}");
            }
            return Ok(Way::Refused);
        }
        if !said {
            tracing::warn!("connections are not labelled with their VM: {why}");
        }
        display.connect().map(Way::Open)
    }

    /// Has the compositor close the doors of VMs that were idle longest, if there are too many.
    fn forget_idle(&mut self, is_used: impl Fn(VmId) -> bool) {
        let idle = self.vms.iter().filter(|(id, _)| !is_used(**id));
        let mut idle: Vec<_> = idle.map(|(id, vm)| (vm.used, *id)).collect();
        idle.sort_unstable();
        for (_, id) in idle.iter().rev().skip(MAX_IDLE - 1) {
            self.vms.remove(id);
        }
    }
}
