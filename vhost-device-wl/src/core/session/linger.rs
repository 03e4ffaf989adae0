//! Streams the guest has closed before their peer had taken everything.
//!
//! Closing a socket or pipe loses nothing that was written before; neither does
//! closing a VFD. What waits is bounded: past that, the oldest is given up.

use std::collections::BTreeMap;

use super::super::quota::Charge;
use super::super::stream::Stream;
use super::super::watch::Watch;
use super::Key;

/// Most streams that linger.
const MAX_LINGERING: usize = 64;

/// Closed streams, by keys that no VFD has. They count up, so the first is the oldest.
#[derive(Debug)]
pub(super) struct Lingering {
    streams: BTreeMap<Key, (Stream, Charge)>,
    first_key: Key,
    next_key: Key,
}

impl Lingering {
    /// Nothing lingers; keys from `first_key` on are free for this.
    pub(super) fn new(first_key: Key) -> Self {
        Lingering {
            streams: BTreeMap::new(),
            first_key,
            next_key: first_key,
        }
    }

    /// Keeps `stream` until it is sent. `charge` is that of its VFD.
    pub(super) fn add(&mut self, stream: Stream, charge: Charge, watch: &mut Watch) {
        if self.streams.len() >= MAX_LINGERING {
            self.evict(watch);
        }
        let key = self.next_key;
        self.next_key = key.checked_add(1).unwrap_or(self.first_key);
        match watch.add_writer(key, stream.poll_fd()) {
            Ok(()) => {
                self.streams.insert(key, (stream, charge));
            }
            Err(error) => tracing::warn!(%error, "unsent bytes of a closed vfd are lost"),
        }
    }

    /// Sends more of the stream `key`; false if there is none.
    pub(super) fn flush(&mut self, key: Key, watch: &mut Watch) -> bool {
        let Some((stream, _)) = self.streams.get_mut(&key) else {
            return false;
        };
        if !stream.flush() || !stream.has_queued() {
            watch.remove_writer(stream.poll_fd());
            self.streams.remove(&key);
        }
        true
    }

    /// Gives the oldest up; false if there is none.
    pub(super) fn evict(&mut self, watch: &mut Watch) -> bool {
        let Some((key, (stream, _))) = self.streams.pop_first() else {
            return false;
        };
        tracing::debug!(
            key,
            bytes = stream.queued().0,
            "unsent bytes of a closed vfd given up"
        );
        watch.remove_writer(stream.poll_fd());
        true
    }

    /// Streams that linger.
    #[cfg(any(test, feature = "test-util"))]
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Bytes they have left.
    #[cfg(any(test, feature = "test-util"))]
    pub(super) fn queued(&self) -> usize {
        self.streams
            .values()
            .map(|(stream, _)| stream.queued().0)
            .sum()
    }

    /// Gives all up.
    pub(super) fn clear(&mut self, watch: &mut Watch) {
        while self.evict(watch) {}
    }
}
