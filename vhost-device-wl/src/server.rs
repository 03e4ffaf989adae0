//! The listening socket: one device per frontend.
//!
//! Every connection gets a daemon of its own, with its own threads, rings and VFDs.
//! What all share is the table of names and the quotas, for they stand for the same
//! virtual machine. A frontend that dies or misbehaves ends only its own device.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use vhost::vhost_user::{Error as VhostError, Listener};
use vhost_user_backend::{Error as DaemonError, VhostUserDaemon};
use virtio_wl::limits::{HOST_ID_BIT, ILLEGAL_ID_BIT, MAX_CHUNK, NUM_QUEUES, SHMEM_REGION_SIZE};
use virtio_wl::wire::Features;
use vm_memory::{GuestMemoryAtomic, GuestMemoryMmap};
use vmm_sys_util::epoll::EventSet;

use crate::backend::{Backend, FrontendPort};
use crate::core::account::MemoryAccount;
use crate::core::memory::{ForeignMemory, MemfdServer, MemoryPort, MemorySource, MemoryStore};
use crate::core::names::NameTable;
use crate::core::quota::Quota;
use crate::core::session::{Session, Shape};
use crate::core::watch::Waker;
use crate::virtio::counters::QueueCounters;
use crate::virtio::device::Device;

/// Bytes one connection may have queued towards a peer that does not read: far more
/// than a Wayland client sends between two looks at its socket, and little memory even
/// for many connections.
pub const MAX_SOCKET_QUEUE: usize = 1 << 20;

/// The same of a pipe. Pipes carry clipboards and dragged files, and the protocol
/// cannot tell a guest to write more slowly: what a slower reader leaves must fit.
pub const MAX_PIPE_QUEUE: usize = 16 << 20;

/// How each frontend is served.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most frontends at once.
    pub max_frontends: usize,
    /// Writable memory that cannot be sealed.
    pub foreign: ForeignMemory,
    /// What the guest's driver is offered.
    pub features: Features,
    /// The memfd-server that guest memory comes from.
    pub memfd_sock: Option<PathBuf>,
}

/// What all frontends of a device share.
#[derive(Debug)]
pub struct Shared {
    /// What a guest can connect to.
    pub names: Arc<NameTable>,
    /// VFDs and queued bytes of the virtual machine.
    pub quota: Arc<Quota>,
    /// Memory of the virtual machine.
    pub account: Arc<MemoryAccount>,
    settings: Settings,
    /// The frontends served now, by number.
    frontends: Mutex<BTreeMap<u64, Arc<Backend>>>,
}

impl Shared {
    /// Nothing served yet.
    #[must_use]
    pub fn new(
        names: Arc<NameTable>,
        quota: Arc<Quota>,
        account: MemoryAccount,
        settings: Settings,
    ) -> Arc<Self> {
        Arc::new(Shared {
            names,
            quota,
            account: Arc::new(account),
            settings,
            frontends: Mutex::new(BTreeMap::new()),
        })
    }

    /// The frontends served now, by number.
    #[must_use]
    pub fn frontends(&self) -> Vec<(u64, Arc<Backend>)> {
        let frontends = self.lock();
        frontends
            .iter()
            .map(|(id, b)| (*id, Arc::clone(b)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Backend>>> {
        self.frontends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts frontends.
pub struct Server {
    shared: Arc<Shared>,
    listener: Listener,
    /// Woken whenever a frontend has gone.
    gone: Waker,
    next: u64,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

/// A frontend could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No descriptors, memory or threads left.
    #[error("cannot set a device up")]
    Setup(#[from] io::Error),
    /// The vhost-user crate failed.
    #[error("vhost-user: {0}")]
    Daemon(DaemonError),
}

/// One frontend's daemon. Dropping it ends its threads.
struct Frontend {
    daemon: VhostUserDaemon<Arc<Backend>>,
    backend: Arc<Backend>,
}

impl Frontend {
    fn new(id: u64, backend: Arc<Backend>) -> Result<Self, ServeError> {
        let mem = GuestMemoryAtomic::new(GuestMemoryMmap::new());
        let daemon = VhostUserDaemon::new(format!("frontend-{id}"), Arc::clone(&backend), mem)
            .map_err(ServeError::Daemon)?;
        let handlers = daemon.get_epoll_handlers();
        let registered = backend.register_events(|fd, cookie| {
            handlers.iter().try_for_each(|handler| {
                handler.register_listener(fd.as_raw_fd(), EventSet::IN, u64::from(cookie))
            })
        });
        if let Err(error) = registered {
            // Its worker hears of nothing and cannot be told to end: let it sleep
            // rather than wait for it.
            std::mem::forget(daemon);
            return Err(error.into());
        }
        Ok(Frontend { daemon, backend })
    }
}

impl Drop for Frontend {
    fn drop(&mut self) {
        // The daemon waits for its worker when it is dropped.
        self.backend.end();
    }
}

impl Server {
    /// A server on `listener`; `gone` is woken when a frontend has left.
    #[must_use]
    pub fn new(listener: UnixListener, shared: Arc<Shared>, gone: Waker) -> Self {
        Server {
            shared,
            listener: Listener::from(listener),
            gone,
            next: 1,
        }
    }

    /// The listening socket.
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        crate::core::borrow(&self.listener)
    }

    /// Whether another frontend may come. Until one leaves, others wait in the
    /// backlog of the socket.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.shared.lock().len() < self.shared.settings.max_frontends
    }

    /// Whether there is a frontend.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        !self.shared.lock().is_empty()
    }

    /// Accepts the frontend that waits on the listening socket.
    ///
    /// # Errors
    /// [`ServeError`]; that frontend is disconnected then.
    pub fn accept(&mut self) -> Result<(), ServeError> {
        let id = self.next;
        self.next += 1;
        let mut frontend = Frontend::new(id, self.backend()?)?;
        frontend
            .daemon
            .start(&mut self.listener)
            .map_err(ServeError::Daemon)?;
        self.shared.lock().insert(id, Arc::clone(&frontend.backend));
        tracing::info!(frontend = id, "connected");
        let (shared, gone) = (Arc::clone(&self.shared), self.gone.clone());
        let wait = move || {
            report(id, frontend.daemon.wait());
            // The worker may be waiting for the frontend, whose channel is closed now.
            drop(frontend);
            shared.lock().remove(&id);
            gone.wake();
        };
        let spawned = thread::Builder::new()
            .name(format!("wait-{id}"))
            .spawn(wait);
        if spawned.is_err() {
            self.shared.lock().remove(&id);
        }
        spawned?;
        Ok(())
    }

    fn backend(&self) -> Result<Arc<Backend>, ServeError> {
        let shared = &self.shared;
        let port = Arc::new(FrontendPort::new()?);
        let settings = &shared.settings;
        let source = settings.memfd_sock.as_deref().map(MemfdServer::new);
        let memory = MemoryStore::new(
            SHMEM_REGION_SIZE,
            Arc::clone(&port) as Arc<dyn MemoryPort>,
            source.map(|source| Box::new(source) as Box<dyn MemorySource>),
            Arc::clone(&shared.account),
            settings.foreign,
        );
        let shape = Shape {
            max_chunk: MAX_CHUNK,
            first_key: HOST_ID_BIT,
            end_key: ILLEGAL_ID_BIT,
            max_socket_queue: MAX_SOCKET_QUEUE,
            max_pipe_queue: MAX_PIPE_QUEUE,
        };
        let (names, quota) = (Arc::clone(&shared.names), Arc::clone(&shared.quota));
        let session = Session::new(shape, memory, names, quota)?;
        let counters: Arc<[QueueCounters; NUM_QUEUES]> = Arc::default();
        let device = Device::new(session, Arc::clone(&counters));
        let features = settings.features;
        Ok(Arc::new(Backend::new(device, counters, port, features)))
    }
}

fn report(frontend: u64, result: Result<(), DaemonError>) {
    match result {
        Ok(())
        | Err(DaemonError::HandleRequest(VhostError::Disconnected | VhostError::PartialMessage)) => {
            tracing::info!(frontend, "disconnected");
        }
        Err(error) => tracing::warn!(frontend, %error, "disconnected"),
    }
}

impl AsFd for Server {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket()
    }
}
