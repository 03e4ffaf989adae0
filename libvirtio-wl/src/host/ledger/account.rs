//! One holder's quota.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What memory is charged in, in bytes: the page size of every guest we know.
const PAGE: u64 = 4096;

/// How much one holder may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in all.
    pub max_bytes: u64,
    /// Pieces of memory at the same time.
    pub max_count: u64,
    /// Bytes of one piece.
    pub max_size: u64,
}

/// How much one holder has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes charged.
    pub bytes: u64,
    /// Pieces of memory alive.
    pub count: u64,
}

/// Bytes charged for `size` bytes: whole pages, at least one.
#[must_use]
pub fn charge(size: u64) -> u64 {
    size.max(1)
        .checked_next_multiple_of(PAGE)
        .unwrap_or(u64::MAX)
}

#[derive(Debug)]
struct State {
    limits: Limits,
    usage: Usage,
}

/// One holder's quota; clones are the same account.
#[derive(Clone, Debug)]
pub struct Account(Arc<Mutex<State>>);

impl Account {
    /// An account with nothing on it.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let usage = Usage::default();
        Self(Arc::new(Mutex::new(State { limits, usage })))
    }

    /// Charges `size` bytes and one piece, until the reservation is dropped.
    ///
    /// # Errors
    ///
    /// [`QuotaExceeded`], and nothing is charged.
    pub fn reserve(&self, size: u64) -> Result<Reservation, QuotaExceeded> {
        let mut state = self.lock();
        let State { limits, usage } = &mut *state;
        if size > limits.max_size {
            let max = limits.max_size;
            return Err(QuotaExceeded::Size { size, max });
        }
        if usage.count >= limits.max_count {
            let max = limits.max_count;
            return Err(QuotaExceeded::Count { max });
        }
        let bytes = charge(size);
        let used = usage.bytes;
        let after = used
            .checked_add(bytes)
            .filter(|after| *after <= limits.max_bytes);
        let Some(after) = after else {
            let max = limits.max_bytes;
            return Err(QuotaExceeded::Bytes { bytes, used, max });
        };
        usage.bytes = after;
        usage.count += 1;
        drop(state);
        Ok(Reservation {
            account: self.clone(),
            bytes,
        })
    }

    /// What is charged now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.lock().usage
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.lock().limits
    }

    /// New limits, for what is asked from now on: what is held stays.
    pub fn set_limits(&self, limits: Limits) {
        self.lock().limits = limits;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change below the lock is complete before anything could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A charge on an account; dropping it gives the charge back.
#[derive(Debug)]
#[must_use = "dropping a reservation gives the charge back"]
pub struct Reservation {
    account: Account,
    bytes: u64,
}

impl Reservation {
    /// Bytes charged.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.account.lock();
        state.usage.bytes = state.usage.bytes.saturating_sub(self.bytes);
        state.usage.count = state.usage.count.saturating_sub(1);
    }
}

/// Why memory was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaExceeded {
    /// More than one piece may ever have.
    #[error("{size} bytes in one piece, {max} allowed")]
    Size {
        /// Bytes asked for.
        size: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// As many pieces as allowed are alive.
    #[error("{max} pieces of memory held, as many as allowed")]
    Count {
        /// Pieces allowed.
        max: u64,
    },
    /// The bytes held and asked for are too many together.
    #[error("{bytes} bytes more than the {used} held, {max} allowed")]
    Bytes {
        /// Bytes asked for, in whole pages.
        bytes: u64,
        /// Bytes held.
        used: u64,
        /// Bytes allowed.
        max: u64,
    },
}
