//! The vhost-user side of one frontend: what the VMM asks, and its memory.
//!
//! Two threads meet here. The *worker* carries out turns and may wait, inside a
//! turn, for the frontend to map memory; the *frontend thread* serves the
//! frontend's requests, among them those it makes while mapping. So whatever the
//! frontend thread needs has a lock of its own that the worker holds only for a
//! moment, never across such a wait.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::stat::fstat;
use vhost::vhost_user::message::{
    VhostUserMMap, VhostUserMMapFlags, VhostUserProtocolFeatures, VhostUserShMemConfig,
    VhostUserVirtioFeatures,
};
use vhost::vhost_user::{Backend as FrontendChannel, VhostUserFrontendReqHandler};
use vhost_user_backend::VhostUserBackend;
use virtio_bindings::bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::bindings::virtio_ring::VIRTIO_RING_F_EVENT_IDX;
use virtio_wl::limits::{NUM_QUEUES, QUEUE_SIZE, SHMEM_REGION_ID, SHMEM_REGION_SIZE};
use virtio_wl::wire::Features;
use vm_memory::{
    GuestAddressSpace, GuestMemoryAtomic, GuestMemoryBackend, GuestMemoryRegion, GuestRegionMmap,
};
use vmm_sys_util::epoll::EventSet;

use crate::core::memory::{MemoryPort, cannot_shrink};
use crate::core::watch::Waker;
use crate::virtio::counters::QueueCounters;
use crate::virtio::device::{Device, Turn};
use crate::virtio::ring::{Memory, Stops, Vring, is_live};

mod snapshot;
pub use snapshot::Snapshot;
use snapshot::Snapshots;

/// Cookie of the host side in the worker's event loop: the first after the
/// queues and the exit event, which the crate reserves.
pub const HOST_EVENT: u16 = NUM_QUEUES as u16 + 1;

/// The virtio_wl features this device has.
pub const FEATURES: Features = Features::TRANS_FLAGS
    .union(Features::SEND_FENCES)
    .union(Features::USE_SHMEM)
    .union(Features::REFRESH)
    .union(Features::CREDIT);

/// The way to the frontend that maps memory for the guest.
#[derive(Default)]
pub struct FrontendPort {
    channel: Mutex<Option<FrontendChannel>>,
    /// The driver understands offsets in the shared memory region. To one that wants
    /// absolute addresses nothing can be mapped: only the VMM knows where the region is.
    usable: AtomicBool,
}

impl fmt::Debug for FrontendPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontendPort").finish_non_exhaustive()
    }
}

impl FrontendPort {
    fn channel(&self) -> io::Result<FrontendChannel> {
        // Cloned out: the request below may wait for the frontend for long.
        lock(&self.channel)
            .clone()
            .ok_or_else(|| io::Error::other("the frontend has opened no channel for requests"))
    }
}

fn area(offset: u64, len: u64, flags: VhostUserMMapFlags) -> VhostUserMMap {
    VhostUserMMap {
        shmid: SHMEM_REGION_ID,
        shm_offset: offset,
        len,
        flags: flags.bits(),
        ..VhostUserMMap::default()
    }
}

impl MemoryPort for FrontendPort {
    fn map(&self, fd: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
        if !self.usable.load(Ordering::Acquire) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let request = area(offset, len, VhostUserMMapFlags::WRITABLE);
        self.channel()?
            .shmem_map(&request, &fd.as_raw_fd())
            .map(drop)
    }

    fn unmap(&self, offset: u64, len: u64) -> io::Result<()> {
        let request = area(offset, len, VhostUserMMapFlags::empty());
        self.channel()?.shmem_unmap(&request).map(drop)
    }
}

/// The device of one frontend.
pub struct Backend {
    /// Held by the worker for the length of a turn.
    device: Mutex<Device>,
    port: Arc<FrontendPort>,
    /// Checked guest memory. The rings' own copy is not used, as the crate
    /// replaces it before it asks us.
    memory: Mutex<Option<Arc<Memory>>>,
    counters: Arc<[QueueCounters; NUM_QUEUES]>,
    waker: Waker,
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
    /// A backend around `device`, whose memory goes through `port`.
    #[must_use]
    pub fn new(
        device: Device,
        counters: Arc<[QueueCounters; NUM_QUEUES]>,
        port: Arc<FrontendPort>,
    ) -> Self {
        let waker = device.session().waker();
        Backend {
            device: Mutex::new(device),
            port,
            memory: Mutex::new(None),
            counters,
            waker,
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
        lock(&self.memory).clone()
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

    /// Runs `look` on the device's host descriptor to poll. Only at set-up.
    pub fn with_root<T>(&self, look: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        look(lock(&self.device).session().watch().root())
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
            | FEATURES.bits()
    }

    fn acked_features(&self, features: u64) {
        let shmem = Features::from_bits_truncate(features).contains(Features::USE_SHMEM);
        self.port.usable.store(shmem, Ordering::Release);
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
        let memory = mem.memory().into_inner();
        memory.iter().try_for_each(check_region)?;
        *lock(&self.memory) = Some(memory);
        Ok(())
    }

    fn set_backend_req_fd(&self, channel: FrontendChannel) {
        *lock(&self.port.channel) = Some(channel);
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

/// An access to memory that its owner has cut off kills the process, and with it
/// the devices of all frontends: memory that can shrink is not accepted.
fn check_region(region: &GuestRegionMmap<()>) -> io::Result<()> {
    let refuse = |why: &str| {
        tracing::error!("guest memory refused: {why}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()))
    };
    let Some(file) = region.file_offset() else {
        return refuse("it is not a file");
    };
    if !cannot_shrink(file.file().as_fd()) {
        return refuse(
            "it can shrink; use a memfd sealed with F_SEAL_SHRINK (QEMU: memory-backend-memfd, seal=on)",
        );
    }
    let size = fstat(file.file())?.st_size;
    let end = file.start().checked_add(region.len());
    if end.is_none_or(|end| u64::try_from(size).map_or(true, |size| size < end)) {
        return refuse("it ends behind the end of its file");
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic in one turn must not take the frontend thread along.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
