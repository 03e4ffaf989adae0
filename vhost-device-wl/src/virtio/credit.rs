//! How much a driver with credit still takes from each VFD.
//!
//! Such a driver empties `in` buffers at once, so buffers say nothing about its
//! readers: it says itself how much was read.

use std::collections::{HashMap, HashSet};

use virtio_wl::limits::{CREDIT_PER_VFD, INITIAL_CREDIT};

use crate::core::session::Key;

#[cfg(test)]
mod tests;

/// Most a driver can save up.
const MAX_BALANCE: i64 = 2 * INITIAL_CREDIT as i64;

/// The balances of all VFDs.
#[derive(Debug, Default)]
pub struct Credit {
    /// Only those that are not at their initial value.
    balances: HashMap<Key, i64>,
    /// VFDs that have something to send and may not.
    dry: HashSet<Key>,
}

impl Credit {
    /// Whether a message of `key` may be sent. If not, [`Credit::grant`] says when.
    pub fn may_send(&mut self, key: Key) -> bool {
        let may = self.balance(key) > 0;
        if !may {
            self.dry.insert(key);
        }
        may
    }

    /// A message was sent.
    pub fn spend(&mut self, key: Key, bytes: usize, vfds: usize) {
        let cost = bytes as i64 + vfds as i64 * i64::from(CREDIT_PER_VFD);
        let balance = self.balance(key) - cost;
        self.balances.insert(key, balance);
    }

    /// The reader of `key` has consumed something. True: the VFD had been waiting
    /// for that.
    pub fn grant(&mut self, key: Key, units: u32) -> bool {
        let balance = (self.balance(key) + i64::from(units)).min(MAX_BALANCE);
        self.balances.insert(key, balance);
        balance > 0 && self.dry.remove(&key)
    }

    /// The VFD is gone; its id may come again.
    pub fn forget(&mut self, key: Key) {
        self.balances.remove(&key);
        self.dry.remove(&key);
    }

    /// Whether `key` waits for credit.
    #[must_use]
    pub fn is_dry(&self, key: Key) -> bool {
        self.dry.contains(&key)
    }

    fn balance(&self, key: Key) -> i64 {
        let initial = i64::from(INITIAL_CREDIT);
        self.balances.get(&key).copied().unwrap_or(initial)
    }
}
