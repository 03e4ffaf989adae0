//! Setting a device up: what a VMM's frontend does before the guest runs.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use nix::sys::eventfd::{EfdFlags, EventFd};
use vhost::{
    VhostBackend, VringConfigData,
    vhost_user::{
        Frontend, VhostUserFrontend,
        message::{VhostUserHeaderFlag, VhostUserProtocolFeatures, VhostUserVirtioFeatures},
    },
};

use super::{
    layout::{MEMORY_SIZE, RingLayout},
    lending::Lending,
    memory::GuestMemory,
    poller::{Poller, Source},
    shmem::RequestChannel,
    sys,
};
use crate::{
    limits::{NUM_QUEUES, QUEUE_IN, QUEUE_OUT, QUEUE_SIZE, SHMEM_REGION_SIZE},
    wire::Features,
};

/// Virtio feature: notification suppression by index. Without it the device's queue library cannot
/// suppress an interrupt at all.
const VIRTIO_RING_F_EVENT_IDX: u64 = 1 << 29;
/// Virtio feature: a device of virtio 1.0 or later.
const VIRTIO_F_VERSION_1: u64 = 1 << 32;

/// Features of virtio_wl that this driver cannot do without.
const REQUIRED: Features = Features::TRANS_FLAGS.union(Features::USE_SHMEM);

/// Features of virtio_wl that this driver knows what to do with.
const SUPPORTED: Features = REQUIRED
    .union(Features::SEND_FENCES)
    .union(Features::REFRESH)
    .union(Features::CREDIT);

/// Set-up takes less than a millisecond. A device that serves somebody else accepts the connection
/// (into its backlog) and then says nothing; this is how long it may.
const LIMIT: Duration = Duration::from_secs(5);

/// A device that is set up. Its queues are enabled, and it has not been kicked yet.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) features: Features,
    pub(super) memory: Arc<GuestMemory>,
    pub(super) requests: RequestChannel,
    pub(super) lending: Lending,
    pub(super) poller: Poller,
    pub(super) kick_in: EventFd,
    pub(super) kick_out: EventFd,
    /// The connection itself: the device lives as long as it is open.
    pub(super) main: UnixStream,
}

/// Connects to the vhost-user socket at `path` and sets the device up.
pub(super) fn open(path: &Path) -> io::Result<Session> {
    let main = UnixStream::connect(path)?;
    let frontend = Frontend::from_stream(main.try_clone()?, NUM_QUEUES as u64);
    limited(&main.try_clone()?, LIMIT, || set_up(frontend, main))
}

/// Runs `work`, which waits for answers on `socket`, for at most `limit`.
///
/// The receive loops of the vhost crate ignore `SO_RCVTIMEO`; shutting the socket down is what ends
/// them.
fn limited<T>(
    socket: &UnixStream,
    limit: Duration,
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let (done, watch) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let watchdog = thread::Builder::new()
            .name("virtio-wl-setup".into())
            .spawn_scoped(scope, move || {
                let expired = watch.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
                if expired {
                    let _ = socket.shutdown(std::net::Shutdown::Both);
                }
                expired
            })?;
        let result = work();
        drop(done);
        match watchdog.join() {
            Ok(true) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "device busy: another frontend is connected (raise --max-frontends)",
            )),
            _ => result,
        }
    })
}

/// The order is that of the vhost-user protocol and of what backends accept:
///
/// * protocol features before the backend request channel, which copies them when it is set;
/// * memory before ring addresses;
/// * bit 30 among the features, or the queues cannot be enabled;
/// * queues enabled last, or the device never looks at them.
fn set_up(mut frontend: Frontend, main: UnixStream) -> io::Result<Session> {
    frontend.set_owner().map_err(io::Error::other)?;
    let offered = frontend.get_features().map_err(io::Error::other)?;
    negotiate_protocol(&mut frontend)?;
    frontend.set_hdr_flags(VhostUserHeaderFlag::NEED_REPLY);
    let queues = frontend.get_queue_num().map_err(io::Error::other)?;
    if queues < NUM_QUEUES as u64 {
        return Err(io::Error::other("not a virtio_wl device: too few queues"));
    }
    let features = negotiate_features(&frontend, offered)?;

    let (requests, theirs) = RequestChannel::new()?;
    frontend
        .set_backend_request_fd(&theirs)
        .map_err(io::Error::other)?;
    let shmem = frontend.get_shmem_config().map_err(io::Error::other)?;
    if shmem.nregions == 0 || shmem.memory_sizes[0] < SHMEM_REGION_SIZE {
        return Err(io::Error::other(
            "not a virtio_wl device: no shared memory region of 4 GiB",
        ));
    }

    let memory = Arc::new(GuestMemory::new(MEMORY_SIZE)?);
    frontend
        .set_mem_table(&[memory.describe()?])
        .map_err(io::Error::other)?;
    let poller = Poller::new()?;
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    // Never one for both: the device reads each as it is signalled.
    let kick_in = EventFd::from_flags(flags)?;
    let kick_out = EventFd::from_flags(flags)?;
    for (queue, kick) in [(QUEUE_IN, &kick_in), (QUEUE_OUT, &kick_out)] {
        set_up_queue(&mut frontend, &memory, queue, &poller, kick).map_err(io::Error::other)?;
    }
    poller.add_readable(&main, Source::Main)?;
    poller.add_readable(&requests, Source::Requests)?;
    let lending = Lending::new();
    for events in lending.events() {
        poller.add_readable(events, Source::Returned)?;
    }
    Ok(Session {
        features,
        memory,
        requests,
        lending,
        poller,
        kick_in,
        kick_out,
        main,
    })
}

fn negotiate_protocol(frontend: &mut Frontend) -> io::Result<()> {
    let wanted = VhostUserProtocolFeatures::MQ
        | VhostUserProtocolFeatures::REPLY_ACK
        | VhostUserProtocolFeatures::BACKEND_REQ
        | VhostUserProtocolFeatures::BACKEND_SEND_FD
        | VhostUserProtocolFeatures::SHMEM;
    let offered = frontend.get_protocol_features().map_err(io::Error::other)?;
    if !offered.contains(wanted) {
        return Err(io::Error::other(format!(
            "not a virtio_wl device: it lacks vhost-user features {:?}",
            wanted - offered
        )));
    }
    frontend
        .set_protocol_features(wanted)
        .map_err(io::Error::other)
}

fn negotiate_features(frontend: &Frontend, offered: u64) -> io::Result<Features> {
    let transport = VIRTIO_F_VERSION_1
        | VIRTIO_RING_F_EVENT_IDX
        | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits();
    let features = Features::from_bits_truncate(offered) & SUPPORTED;
    if offered & transport != transport || !features.contains(REQUIRED) {
        return Err(io::Error::other(format!(
            "not a virtio_wl device this driver can use: it offers features {offered:#x}"
        )));
    }
    frontend
        .set_features(transport | features.bits())
        .map_err(io::Error::other)?;
    Ok(features)
}

fn set_up_queue(
    frontend: &mut Frontend,
    memory: &GuestMemory,
    queue: usize,
    poller: &Poller,
    kick: &EventFd,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let layout = RingLayout::of(queue);
    frontend.set_vring_num(queue, QUEUE_SIZE)?;
    frontend.set_vring_addr(
        queue,
        &VringConfigData {
            queue_max_size: QUEUE_SIZE,
            queue_size: QUEUE_SIZE,
            flags: 0,
            desc_table_addr: memory.user_address(layout.descriptors),
            used_ring_addr: memory.user_address(layout.used),
            avail_ring_addr: memory.user_address(layout.available),
            log_addr: None,
        },
    )?;
    frontend.set_vring_base(queue, 0)?;
    frontend.set_vring_call(queue, &sys::vhost_eventfd(poller.interrupt().as_fd())?)?;
    frontend.set_vring_kick(queue, &sys::vhost_eventfd(kick.as_fd())?)?;
    frontend.set_vring_enable(queue, true)?;
    Ok(())
}
