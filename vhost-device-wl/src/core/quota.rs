//! What one VM may make the host hold: VFDs and queued bytes. (Memory can outlive
//! everything here; see [`account`](super::account).)
//!
//! A [`Quota`] belongs to the VM, so all frontends of a device share it. What is
//! taken comes back by dropping the [`Charge`]; nothing a guest says returns it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(test)]
mod tests;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Live VFDs.
    Vfds,
    /// Bytes that wait in this device for a slow host peer.
    Queued,
}

/// Upper bounds of one VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// VFDs. Default 8192: the driver has 2047 of its own, the rest are
    /// received ones; each costs the host one or two descriptors.
    pub vfds: u64,
    /// Bytes queued for all slow peers together. Default 64 MiB: a few clipboards on
    /// their way to slow readers.
    pub queued: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            vfds: 8192,
            queued: 64 << 20,
        }
    }
}

/// The counters of one VM.
#[derive(Debug)]
pub struct Quota {
    limits: Limits,
    vfds: AtomicU64,
    queued: AtomicU64,
}

/// A quota is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the quota of {resource:?} is used up (limit {limit})")]
pub struct Exceeded {
    /// Which of them.
    pub resource: Resource,
    /// The limit that would have been passed.
    pub limit: u64,
}

impl Quota {
    /// Counters at zero under `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Quota {
            limits,
            vfds: AtomicU64::new(0),
            queued: AtomicU64::new(0),
        })
    }

    /// The bounds these counters are held to.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Currently taken of `resource`.
    #[must_use]
    pub fn used(&self, resource: Resource) -> u64 {
        self.cell(resource).0.load(Ordering::Relaxed)
    }

    /// Still free of `resource`.
    #[must_use]
    pub fn left(&self, resource: Resource) -> u64 {
        let (used, limit) = self.cell(resource);
        limit.saturating_sub(used.load(Ordering::Relaxed))
    }

    /// Takes `amount` of `resource`, or nothing at all.
    ///
    /// # Errors
    /// [`Exceeded`] when the limit would be passed.
    pub fn charge(self: &Arc<Self>, resource: Resource, amount: u64) -> Result<Charge, Exceeded> {
        let (cell, limit) = self.cell(resource);
        cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(amount).filter(|sum| *sum <= limit)
        })
        .map_err(|_| Exceeded { resource, limit })?;
        Ok(Charge {
            quota: Arc::clone(self),
            resource,
            amount,
        })
    }

    fn cell(&self, resource: Resource) -> (&AtomicU64, u64) {
        match resource {
            Resource::Vfds => (&self.vfds, self.limits.vfds),
            Resource::Queued => (&self.queued, self.limits.queued),
        }
    }
}

/// An amount taken from a [`Quota`]; returned on drop.
pub struct Charge {
    quota: Arc<Quota>,
    resource: Resource,
    amount: u64,
}

impl Charge {
    /// Returns part of the amount early (a queue that drains).
    pub fn shrink(&mut self, by: u64) {
        let by = by.min(self.amount);
        self.amount -= by;
        self.quota
            .cell(self.resource)
            .0
            .fetch_sub(by, Ordering::Relaxed);
    }

    /// Joins another charge of the same quota and resource to this one.
    pub fn absorb(&mut self, mut other: Charge) {
        debug_assert_eq!(self.resource, other.resource);
        self.amount += std::mem::take(&mut other.amount);
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Charge({:?} {})", self.resource, self.amount)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.quota
            .cell(self.resource)
            .0
            .fetch_sub(self.amount, Ordering::Relaxed);
    }
}
