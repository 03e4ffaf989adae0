//! Which listener a connection goes to: one for each VM where the compositor wants to know, the one that
//! was taken over otherwise.
//!
//! A compositor with `wp_security_context_v1` is given a listener for each VM, and told what comes from
//! it. A VM's clients are never served under less than that: until the compositor has answered, they
//! wait.

use std::{
    collections::HashMap,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};

use virtio_wl::{Peer, label::VmId};
use virtio_wl_security_context::{Context, Error, Identity, announce};

use super::retry::Retry;
use crate::listening::Listening;

/// How long to wait for the compositor's answer before it is asked again on another connection: longer
/// than a compositor takes to start and to draw a frame.
const PATIENCE: Duration = Duration::from_secs(10);

/// Listeners by VM.
#[derive(Debug)]
pub(super) struct Labels {
    /// The compositor's own socket, for local clients such as us.
    display: PathBuf,
    /// For connections that are not labelled.
    plain: Arc<Listening>,
    /// The compositor has said that it knows no labels.
    unsupported: bool,
    vms: HashMap<VmId, Labelled>,
}

/// A listener of which the compositor knows whose clients it brings.
#[derive(Debug)]
struct Labelled {
    listening: Arc<Listening>,
    /// The compositor accepts for as long as this is there.
    _context: Context,
}

impl Labels {
    pub(super) fn new(display: PathBuf, plain: Arc<Listening>) -> Self {
        Self {
            display,
            plain,
            unsupported: false,
            vms: HashMap::new(),
        }
    }

    /// Queues what is accepted, until nothing more will be.
    pub(super) fn run(mut self, accepted: &Receiver<(OwnedFd, Peer)>) {
        while let Ok((connection, peer)) = accepted.recv() {
            if let Err(error) = self.queue(connection, &peer) {
                tracing::error!(vm = %peer.vm_name, "a connection is lost: {error}");
            }
        }
    }

    fn queue(&mut self, connection: OwnedFd, peer: &Peer) -> io::Result<()> {
        if self.label(peer)
            && let Some(labelled) = self.vms.get(&peer.vm_id)
        {
            return labelled.listening.offer(connection);
        }
        self.plain.wait_room();
        self.plain.offer(connection)
    }

    /// Has the compositor know the VM; false when it wants to know of none.
    fn label(&mut self, peer: &Peer) -> bool {
        let mut retry = Retry::default();
        while !self.unsupported && !self.vms.contains_key(&peer.vm_id) {
            match self.announce(peer) {
                Ok(labelled) => {
                    tracing::info!(vm = %peer.vm_name, "the compositor knows this VM");
                    self.vms.insert(peer.vm_id, labelled);
                }
                Err(Error::Unsupported) => {
                    tracing::warn!(
                        "the compositor cannot be told which VM a client is of: \
                         it offers no wp_security_context_manager_v1"
                    );
                    self.unsupported = true;
                }
                Err(error) => {
                    tracing::warn!(vm = %peer.vm_name, "clients wait for the compositor: {error}");
                    retry.pause();
                }
            }
        }
        !self.unsupported
    }

    fn announce(&self, peer: &Peer) -> Result<Labelled, Error> {
        let display = UnixStream::connect(&self.display)?;
        let identity = Identity::new(&peer.vm_name, peer.vm_id);
        let (listening, set) = Listening::new(None)?;
        let context = announce(display, set.as_fd(), &identity, Instant::now() + PATIENCE);
        match context {
            Ok(context) => Ok(Labelled {
                listening,
                _context: context,
            }),
            Err(error) => {
                listening.forget();
                Err(error)
            }
        }
    }
}
