//! What a VM may spend on copies of its pixels: time per frame, and memory.

use std::cell::Cell;
use std::rc::Rc;

/// Bytes copied per VM and frame before the rest waits for the next frame: two
/// full frames of a 1920×1080 monitor, about 4 ms. A VM that commits
/// faster loses frames nobody would see, and its neighbours lose nothing.
pub(super) const BYTES_PER_FRAME: u64 = 2 * 1920 * 1080 * 4;

/// Memory of a VM's copies: sixteen windows of 3840×2160.
pub(super) const MEMORY: u64 = 16 * 3840 * 2160 * 4;

/// One VM's budget.
#[derive(Debug, Default)]
pub(super) struct Budget {
    spent: u64,
    used: Rc<Cell<u64>>,
}

/// Memory taken from a budget until dropped.
#[derive(Debug)]
pub(super) struct Memory {
    bytes: u64,
    used: Rc<Cell<u64>>,
}

impl Budget {
    /// Whether something may be copied now. The last copy may overdraw, so
    /// that a picture larger than a whole share is shown at all.
    pub(super) fn has_time(&self) -> bool {
        self.spent < BYTES_PER_FRAME
    }

    /// Notes bytes copied.
    pub(super) fn spend(&mut self, bytes: u64) {
        self.spent = self.spent.saturating_add(bytes);
    }

    /// A new frame begins. What was overdrawn is paid back first.
    pub(super) fn refill(&mut self) {
        self.spent = self.spent.saturating_sub(BYTES_PER_FRAME);
    }

    /// Takes memory for a copy, `None` when the VM has no more.
    pub(super) fn reserve(&self, bytes: u64) -> Option<Memory> {
        let used = self.used.get().checked_add(bytes)?;
        if used > MEMORY {
            return None;
        }
        self.used.set(used);
        Some(Memory {
            bytes,
            used: Rc::clone(&self.used),
        })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.used.set(self.used.get().saturating_sub(self.bytes));
    }
}

#[cfg(test)]
mod tests;
