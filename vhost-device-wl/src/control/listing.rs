//! Answers about what is going on.

use std::sync::atomic::Ordering;

use virtio_wl::host::control::{
    List, Listing, MAX_VFDS_PER_LISTING, QueueEntry, QueueListing, SocketEntry, SocketKind, Totals,
    Traffic, VfdEntry,
};
use virtio_wl::limits::{NUM_QUEUES, QUEUE_IN};
use vm_memory::{Address, Bytes, GuestAddress};

use crate::backend::{Backend, Snapshot};
use crate::core::quota::Resource;
use crate::core::session::VfdReport;
use crate::server::Shared;
use crate::virtio::counters::QueueCounters;
use crate::virtio::ring::Memory;

/// Most ids in one answer about a queue.
const MAX_WAITING: usize = 256;

/// Names, VFDs, totals.
pub(super) fn listing(shared: &Shared, request: &List) -> Listing {
    let snapshots: Vec<Snapshot> = shared
        .frontends()
        .iter()
        .filter_map(|(_, backend)| backend.snapshot())
        .collect();
    let (vfds, next) = if request.sockets_only {
        (Vec::new(), None)
    } else {
        page(&snapshots, request.from.unwrap_or(0))
    };
    Listing {
        sockets: sockets(shared),
        vfds,
        next,
        totals: totals(shared, &snapshots),
    }
}

fn sockets(shared: &Shared) -> Vec<SocketEntry> {
    let entries = shared.names.list().into_iter();
    entries
        .map(|entry| SocketEntry {
            name: entry.name,
            kind: match entry.path {
                Some(path) => SocketKind::Listening { path },
                None => SocketKind::Connected,
            },
        })
        .collect()
}

/// VFDs from an id on, and where the next page begins. Ids of several frontends can
/// be equal; these stay together, so that none is lost between two pages.
fn page(snapshots: &[Snapshot], from: u32) -> (Vec<VfdEntry>, Option<u32>) {
    let mut all: Vec<&VfdReport> = snapshots
        .iter()
        .flat_map(|snapshot| &snapshot.vfds)
        .filter(|vfd| vfd.key >= from)
        .collect();
    all.sort_by_key(|vfd| vfd.key);
    let next = all.get(MAX_VFDS_PER_LISTING).map(|vfd| vfd.key);
    let shown = all
        .into_iter()
        .take_while(|vfd| next.is_none_or(|next| vfd.key < next));
    (shown.map(entry).collect(), next)
}

fn entry(vfd: &VfdReport) -> VfdEntry {
    let traffic = &vfd.traffic;
    VfdEntry {
        id: vfd.key,
        kind: vfd.kind.to_owned(),
        name: vfd.name.as_deref().map(str::to_owned),
        size: vfd.size,
        to_host: Traffic {
            messages: traffic.out_messages,
            bytes: traffic.out_bytes,
            descriptors: traffic.out_fds,
        },
        to_guest: Traffic {
            messages: traffic.in_messages,
            bytes: traffic.in_bytes,
            descriptors: traffic.in_fds,
        },
        queued_bytes: vfd.queued,
        queued_descriptors: vfd.queued_fds,
        hung_up: vfd.ended,
        waiting: vfd.waiting,
    }
}

fn totals(shared: &Shared, snapshots: &[Snapshot]) -> Totals {
    let limits = shared.quota.limits();
    Totals {
        vfds: shared.quota.used(Resource::Vfds),
        max_vfds: limits.vfds,
        memory_bytes: shared.account.used(),
        max_memory_bytes: shared.account.limit(),
        queued_bytes: shared.quota.used(Resource::Queued),
        max_queued_bytes: limits.queued,
        mapped_bytes: snapshots.iter().map(|s| s.mapped.0).sum(),
        mappings: snapshots.iter().map(|s| s.mapped.1).sum(),
    }
}

/// All virtqueues, of all frontends.
pub(super) fn queues(shared: &Shared) -> QueueListing {
    let frontends = shared.frontends();
    let several = frontends.len() > 1;
    let mut queues = Vec::new();
    for (number, backend) in &frontends {
        for index in 0..NUM_QUEUES {
            let mut entry = queue(backend, index);
            if several {
                entry.name = format!("{} of frontend {number}", entry.name);
            }
            queues.push(entry);
        }
    }
    QueueListing { queues }
}

fn queue(backend: &Backend, index: usize) -> QueueEntry {
    let counters = &backend.counters()[index];
    let size = counters.size.load(Ordering::Relaxed);
    let memory = backend.memory();
    let live = |ring: u64| read_index(memory.as_deref(), size, ring);
    let waiting = if index == QUEUE_IN {
        backend.snapshot().map(|snapshot| waiting(&snapshot))
    } else {
        None
    };
    QueueEntry {
        index: u16::try_from(index).unwrap_or(u16::MAX),
        name: if index == QUEUE_IN { "in" } else { "out" }.to_owned(),
        size,
        ready: size > 0 && !counters.broken.load(Ordering::Relaxed),
        avail_idx: live(counters.avail_ring.load(Ordering::Relaxed)),
        used_idx: live(counters.used_ring.load(Ordering::Relaxed)),
        next_avail: counters.next_avail.load(Ordering::Relaxed),
        next_used: counters.next_used.load(Ordering::Relaxed),
        pending_kick: pending_kick(counters),
        kicks: counters.kicks.load(Ordering::Relaxed),
        interrupts: counters.interrupts.load(Ordering::Relaxed),
        waiting: waiting.unwrap_or_default(),
    }
}

fn waiting(snapshot: &Snapshot) -> Vec<u32> {
    let vfds = snapshot.vfds.iter().filter(|vfd| vfd.waiting);
    let mut ids: Vec<u32> = vfds.map(|vfd| vfd.key).collect();
    ids.sort_unstable();
    ids.truncate(MAX_WAITING);
    ids
}

/// The `idx` of a ring, as the guest sees it now.
fn read_index(memory: Option<&Memory>, size: u16, ring: u64) -> u16 {
    /// Behind the flags.
    const INDEX: u64 = 2;
    let (Some(memory), true) = (memory, size > 0) else {
        return 0;
    };
    GuestAddress(ring)
        .checked_add(INDEX)
        .and_then(|at| memory.load::<u16>(at, Ordering::Acquire).ok())
        .map_or(0, u16::from_le)
}

/// Whether a kick waits to be noticed: the counter of the eventfd, which the kernel
/// shows without disturbing it.
fn pending_kick(counters: &QueueCounters) -> bool {
    let fd = counters.kick_fd.load(Ordering::Relaxed);
    let Ok(info) = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")) else {
        return false;
    };
    info.lines()
        .filter_map(|line| line.strip_prefix("eventfd-count:"))
        .any(|count| count.trim() != "0")
}
