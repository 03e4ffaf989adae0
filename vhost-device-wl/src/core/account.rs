//! Memory made for the guest, counted until nobody anywhere holds it.
//!
//! A guest can close its VFD while a peer still holds the memory, and make new memory
//! at once: counting VFDs would count nothing. So the host itself watches each file
//! until its last descriptor and mapping is gone.

use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use virtio_wl::host::ledger::{Account, Ledger, Limits, QuotaExceeded, Reservation, WatchError};

/// Most pieces of memory alive: twice the VFDs a guest can create, so that pieces
/// which peers still hold do not keep it from working.
const MAX_PIECES: u64 = 4096;

/// Memory was refused.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The virtual machine holds too much.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// Nobody would know when the memory ends.
    #[error(transparent)]
    Watch(#[from] WatchError),
}

/// The memory account of one virtual machine.
#[derive(Debug)]
pub struct MemoryAccount {
    account: Account,
    ledger: Mutex<Ledger>,
}

impl MemoryAccount {
    /// An account of at most `max_bytes`.
    ///
    /// # Errors
    /// The kernel gives no more inotify instances to this user.
    pub fn new(max_bytes: u64) -> std::io::Result<Self> {
        let limits = Limits {
            max_bytes,
            max_count: MAX_PIECES,
            max_size: max_bytes,
        };
        Ok(MemoryAccount {
            account: Account::new(limits),
            ledger: Mutex::new(Ledger::new()?),
        })
    }

    /// Charges `len` bytes before they are made.
    ///
    /// # Errors
    /// [`AccountError::Quota`].
    pub fn reserve(&self, len: u64) -> Result<Reservation, AccountError> {
        self.settle();
        Ok(self.account.reserve(len)?)
    }

    /// Keeps the charge until `memory` is gone everywhere, here included.
    ///
    /// # Errors
    /// [`AccountError::Watch`]; the charge is given back, and `memory` must not be
    /// handed out.
    pub fn follow(
        &self,
        memory: BorrowedFd<'_>,
        reservation: Reservation,
    ) -> Result<(), AccountError> {
        Ok(self.ledger().watch(memory, reservation)?)
    }

    /// Bytes held now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.settle();
        self.account.usage().bytes
    }

    /// Most bytes that may be held.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.account.limits().max_bytes
    }

    /// Gives back what has ended.
    fn settle(&self) {
        if let Err(error) = self.ledger().dispatch() {
            tracing::error!(%error, "cannot see which memory has ended");
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Every change below the lock is complete before anything could panic.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
