//! The vhost-user side of one frontend: what the VMM asks, and its memory.
//!
//! Two threads meet here. The *worker* carries out turns and may wait, inside a
//! turn, for the frontend to map memory; the *frontend thread* serves the
//! frontend's requests, among them those it makes while mapping. So whatever the
//! frontend thread needs has a lock of its own that the worker holds only for a
//! moment, never across such a wait.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vhost::vhost_user::Backend as FrontendChannel;
use vhost::vhost_user::message::{
    VhostUserProtocolFeatures, VhostUserShMemConfig, VhostUserVirtioFeatures,
};
use vhost_user_backend::VhostUserBackend;
use virtio_bindings::bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::bindings::virtio_ring::VIRTIO_RING_F_EVENT_IDX;
use virtio_wl::limits::{NUM_QUEUES, QUEUE_SIZE, SHMEM_REGION_SIZE};
use virtio_wl::wire::Features;
use vm_memory::{GuestAddressSpace, GuestMemoryAtomic};
use vmm_sys_util::epoll::EventSet;

use crate::core::watch::Waker;
use crate::virtio::counters::QueueCounters;
use crate::virtio::device::{Device, Turn};
use crate::virtio::ring::{Memory, Stops, Vring, is_live};

mod port;
mod sight;
mod snapshot;
mod table;
pub use port::FrontendPort;
pub use snapshot::Snapshot;
use snapshot::Snapshots;
use table::Table;

/// Cookie of the host side in the worker's event loop: the first after the
/// queues and the exit event, which the crate reserves.
const HOST_EVENT: u16 = NUM_QUEUES as u16 + 1;

/// Cookie of the port's timer.
const TIMER_EVENT: u16 = HOST_EVENT + 1;

/// The virtio_wl features this device has.
pub const FEATURES: Features = Features::TRANS_FLAGS
    .union(Features::SEND_FENCES)
    .union(Features::USE_SHMEM)
    .union(Features::REFRESH)
    .union(Features::CREDIT);

/// The device of one frontend.
pub struct Backend {
    /// Held by the worker for the length of a turn.
    device: Mutex<Device>,
    port: Arc<FrontendPort>,
    /// Checked guest memory. The rings' own copy is not used, as the crate
    /// replaces it before it asks us.
    table: Mutex<Table>,
    counters: Arc<[QueueCounters; NUM_QUEUES]>,
    waker: Waker,
    features: Features,
    acked: AtomicU64,
    stops: Stops,
    /// [`Stops::count`] as the worker knows it.
    epoch: AtomicU64,
    reset: AtomicBool,
    ended: AtomicBool,
    snapshots: Snapshots,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").finish_non_exhaustive()
    }
}

impl Backend {
    /// A backend around `device`, whose memory goes through `port`. The guest's driver is
    /// offered `features`.
    #[must_use]
    pub fn new(
        device: Device,
        counters: Arc<[QueueCounters; NUM_QUEUES]>,
        port: Arc<FrontendPort>,
        features: Features,
    ) -> Self {
        let waker = device.session().waker();
        Backend {
            device: Mutex::new(device),
            port,
            table: Mutex::default(),
            counters,
            waker,
            features,
            acked: AtomicU64::new(0),
            stops: Stops::default(),
            epoch: AtomicU64::new(0),
            reset: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            snapshots: Snapshots::default(),
        }
    }

    /// The counters of the queues; needs no lock.
    #[must_use]
    pub fn counters(&self) -> &[QueueCounters; NUM_QUEUES] {
        &self.counters
    }

    /// Guest memory as it is now.
    #[must_use]
    pub fn memory(&self) -> Option<Arc<Memory>> {
        lock(&self.table).memory()
    }

    /// The guest's VFDs. `None` when the worker is stuck in a turn, as when it waits
    /// for a frontend that does not answer.
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        let now = || {
            self.device
                .try_lock()
                .ok()
                .map(|device| Snapshot::of(&device))
        };
        now().or_else(|| {
            let wish = self.snapshots.wish();
            // The turn may have ended before the wish.
            now().or_else(|| self.snapshots.wait(wish))
        })
    }

    /// Makes the worker end at its next look around.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// What the worker polls beside the queues: calls `register` with each descriptor and its
    /// cookie. Only at set-up.
    ///
    /// # Errors
    /// That of `register`.
    pub fn register_events(
        &self,
        register: impl Fn(BorrowedFd<'_>, u16) -> io::Result<()>,
    ) -> io::Result<()> {
        register(lock(&self.device).session().watch().root(), HOST_EVENT)?;
        self.port.with_timer(|timer| register(timer, TIMER_EVENT))
    }

    fn turn(&self, vrings: &[Vring], host: bool) {
        let Some(memory) = self.memory() else {
            return;
        };
        let mut device = lock(&self.device);
        if self.reset.swap(false, Ordering::AcqRel) {
            device.reset();
        }
        // In this order: a ring stopped after the count is seen by the turn itself.
        let epoch = self.stops.count();
        if !vrings.iter().all(is_live) {
            // Between two drivers nothing of one may reach the other.
            device.turn_without_rings();
            return;
        }
        if self.epoch.swap(epoch, Ordering::AcqRel) != epoch {
            device.rings_restarted(vrings);
        }
        let acked = Features::from_bits_truncate(self.acked.load(Ordering::Acquire));
        device.set_features(acked);
        if device.turn(&memory, vrings, (&self.stops, epoch), host) == Turn::Again {
            self.waker.wake();
        }
        self.snapshots.grant(|| Snapshot::of(&device));
    }
}

impl VhostUserBackend for Backend {
    type Bitmap = ();
    type Vring = Vring;

    fn num_queues(&self) -> usize {
        NUM_QUEUES
    }

    fn max_queue_size(&self) -> usize {
        usize::from(QUEUE_SIZE)
    }

    fn features(&self) -> u64 {
        (1 << VIRTIO_F_VERSION_1)
            | (1 << VIRTIO_RING_F_EVENT_IDX)
            | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits()
            | self.features.bits()
    }

    fn acked_features(&self, features: u64) {
        let shmem = Features::from_bits_truncate(features).contains(Features::USE_SHMEM);
        self.port.set_usable(shmem);
        self.acked.store(features, Ordering::Release);
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        // CONFIGURE_MEM_SLOTS: a VMM sends every mapping back as a memory region,
        // and without it no more than eight fit.
        VhostUserProtocolFeatures::MQ
            | VhostUserProtocolFeatures::REPLY_ACK
            | VhostUserProtocolFeatures::BACKEND_REQ
            | VhostUserProtocolFeatures::BACKEND_SEND_FD
            | VhostUserProtocolFeatures::SHMEM
            | VhostUserProtocolFeatures::CONFIGURE_MEM_SLOTS
    }

    fn reset_device(&self) {
        self.reset.store(true, Ordering::Release);
        self.waker.wake();
    }

    fn set_event_idx(&self, _enabled: bool) {}

    fn update_memory(&self, mem: GuestMemoryAtomic<Memory>) -> io::Result<()> {
        let pieces = lock(&self.table).replace(mem.memory().into_inner())?;
        if self.port.table(pieces) {
            self.waker.wake();
        }
        Ok(())
    }

    fn set_backend_req_fd(&self, channel: FrontendChannel) {
        self.port.set_channel(channel);
    }

    fn get_shmem_config(&self) -> io::Result<VhostUserShMemConfig> {
        Ok(VhostUserShMemConfig::new(1, &[SHMEM_REGION_SIZE]))
    }

    fn stop_vring(&self, _queue: u32) -> io::Result<()> {
        self.stops.add();
        Ok(())
    }

    fn handle_event(
        &self,
        event: u16,
        _set: EventSet,
        vrings: &[Vring],
        _thread: usize,
    ) -> io::Result<()> {
        let queue = self.counters.get(usize::from(event));
        match queue {
            Some(queue) => QueueCounters::count(&queue.kicks),
            None if event == TIMER_EVENT => self.port.expire(),
            None => self.waker.acknowledge(),
        }
        if self.ended.load(Ordering::Acquire) {
            // What ends the worker. (The crate has an event for that, but loses one of
            // its descriptors each time.)
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.turn(vrings, queue.is_none());
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic in one turn must not take the frontend thread along.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
