//! Page ranges of the shared memory region.

use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// Granularity of everything in the region, in bytes.
pub const PAGE: u64 = 4096;

/// Hands out disjoint, page-aligned ranges of a region of fixed length.
///
/// First fit from the bottom: freed ranges are reused before new ones, so a guest
/// that recycles sizes keeps its page numbers low and the map unfragmented.
#[derive(Debug)]
pub struct Window {
    len: u64,
    /// Free ranges, start → length; never adjacent, never empty.
    free: BTreeMap<u64, u64>,
}

impl Window {
    /// A window of `len` bytes, rounded down to whole pages.
    #[must_use]
    pub fn new(len: u64) -> Self {
        let len = len - len % PAGE;
        let mut free = BTreeMap::new();
        if len > 0 {
            free.insert(0, len);
        }
        Window { len, free }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Free bytes.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.free.values().sum()
    }

    /// Whether the whole window is free.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.free.get(&0) == Some(&self.len)
    }

    /// Takes `len` bytes (a multiple of [`PAGE`], not 0) and returns their offset.
    pub fn take(&mut self, len: u64) -> Option<u64> {
        debug_assert!(len > 0 && len.is_multiple_of(PAGE));
        let (&start, &have) = self.free.iter().find(|(_, have)| **have >= len)?;
        self.free.remove(&start);
        if have > len {
            self.free.insert(start + len, have - len);
        }
        Some(start)
    }

    /// Gives a range from [`Window::take`] back.
    pub fn give(&mut self, start: u64, len: u64) {
        debug_assert!(start + len <= self.len);
        let (mut start, mut len) = (start, len);
        if let Some((&before, &before_len)) = self.free.range(..start).next_back() {
            debug_assert!(before + before_len <= start, "range given twice");
            if before + before_len == start {
                self.free.remove(&before);
                (start, len) = (before, before_len + len);
            }
        }
        if let Some(after_len) = self.free.remove(&(start + len)) {
            len += after_len;
        }
        self.free.insert(start, len);
    }
}
