//! What happened on the virtqueues, for the operator.
//!
//! Written by the worker, read by the control socket, which must be able to
//! answer while the worker is stuck: hence atomics and no lock.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU16, AtomicU64, Ordering};

/// One virtqueue. Indices are the free-running 16-bit ones of the ring.
#[derive(Debug, Default)]
pub struct QueueCounters {
    /// Times the guest notified the device.
    pub kicks: AtomicU64,
    /// Times the device notified the guest.
    pub interrupts: AtomicU64,
    /// Entries; 0 while the guest has not set the queue up.
    pub size: AtomicU16,
    /// The next available entry the device will take ("shadow available").
    pub next_avail: AtomicU16,
    /// The next used entry the device will write ("shadow used").
    pub next_used: AtomicU16,
    /// Guest address of the available ring.
    pub avail_ring: AtomicU64,
    /// Guest address of the used ring.
    pub used_ring: AtomicU64,
    /// Number of the kick descriptor, or -1. Only to look its counter up.
    pub kick_fd: AtomicI32,
    /// The guest broke the rules of the ring; it is not served until it is set up anew.
    pub broken: AtomicBool,
}

impl QueueCounters {
    /// Adds one to a counter.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
