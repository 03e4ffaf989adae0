//! Dividing shared memory among buffers.
//!
//! Every allocation costs an id of the device (there are 2047 for a whole
//! guest), a mapping and a round trip. Cursors and small buffers therefore
//! share a segment, and the segment of a large buffer is kept for the next one
//! of about its size, as a client draws into new buffers all the time while its
//! window is being resized or scrolled.

/// Size of a segment that is shared by small buffers, in bytes.
const SHARED_SEGMENT: usize = 1 << 20;

/// A buffer above this many bytes gets a segment of its own.
const LARGE: usize = SHARED_SEGMENT / 4;

/// Unused bytes kept for the next buffer: a frame of 3840×2160 pixels.
const MAX_IDLE: usize = 36 << 20;

/// Granularity, in bytes: a cache line, so that no copy touches the memory of
/// another buffer.
const UNIT: usize = 64;

/// A place in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Key of the segment.
    pub segment: usize,
    /// Byte offset in it.
    pub offset: usize,
    /// Bytes.
    pub len: usize,
}

/// Segments of `S`, which stands for the memory.
#[derive(Debug)]
pub struct Arena<S> {
    segments: Vec<Option<Segment<S>>>,
    /// Bytes of all segments.
    total: usize,
}

#[derive(Debug)]
struct Segment<S> {
    memory: S,
    len: usize,
    /// Free ranges `(offset, len)`, sorted, never adjacent.
    free: Vec<(usize, usize)>,
}

impl<S> Segment<S> {
    fn is_idle(&self) -> bool {
        self.free.first() == Some(&(0, self.len))
    }
}

impl<S> Default for Arena<S> {
    fn default() -> Self {
        Self {
            segments: Vec::new(),
            total: 0,
        }
    }
}

impl<S> Arena<S> {
    /// Bytes of all segments.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// The memory of a segment.
    ///
    /// # Panics
    /// If the segment is not there: a [`Place`] was used after
    /// [`free`](Self::free).
    #[must_use]
    pub fn memory(&self, segment: usize) -> &S {
        &self.segments[segment]
            .as_ref()
            .expect("segment of a live place")
            .memory
    }

    /// How large a segment for `len` bytes must be when [`take`](Self::take)
    /// finds no room.
    ///
    /// A large one is up to an eighth larger than needed, so that a window that
    /// is being made larger does not need another one for every step.
    #[must_use]
    pub fn segment_len(len: usize) -> usize {
        if len > LARGE {
            len.next_multiple_of((1 << len.ilog2()) / 8)
        } else {
            SHARED_SEGMENT
        }
    }

    /// Finds room in the segments there are.
    pub fn take(&mut self, len: usize) -> Option<Place> {
        let len = len.next_multiple_of(UNIT);
        let fits = |segment: &Segment<S>| {
            if len > LARGE {
                // Not much more than needed, or a window that became small
                // would keep the memory of a large one.
                segment.is_idle() && segment.len >= len && segment.len / 2 <= len
            } else {
                segment.len == SHARED_SEGMENT
            }
        };
        for (key, segment) in self.segments.iter_mut().enumerate() {
            let Some(segment) = segment.as_mut().filter(|segment| fits(segment)) else {
                continue;
            };
            let Some(index) = segment.free.iter().position(|(_, room)| *room >= len) else {
                continue;
            };
            let (offset, room) = segment.free[index];
            if room == len {
                segment.free.remove(index);
            } else {
                segment.free[index] = (offset + len, room - len);
            }
            return Some(Place {
                segment: key,
                offset,
                len,
            });
        }
        None
    }

    /// Adds an unused segment of `len` bytes.
    pub fn add(&mut self, memory: S, len: usize) {
        self.total += len;
        let segment = Segment {
            memory,
            len,
            free: vec![(0, len)],
        };
        match self.segments.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(segment),
            None => self.segments.push(Some(segment)),
        }
    }

    /// Gives a place back; returns the memory that is no longer worth keeping.
    ///
    /// # Panics
    /// If the place was given back before.
    pub fn free(&mut self, place: Place) -> Option<S> {
        let segment = self.segments[place.segment]
            .as_mut()
            .expect("segment of a live place");
        let free = &mut segment.free;
        let index = free.partition_point(|(offset, _)| *offset < place.offset);
        free.insert(index, (place.offset, place.len));
        merge_with_next(free, index);
        if let Some(previous) = index.checked_sub(1) {
            merge_with_next(free, previous);
        }
        if segment.is_idle() && self.idle() > MAX_IDLE {
            return self.remove(place.segment);
        }
        None
    }

    fn idle(&self) -> usize {
        self.segments
            .iter()
            .flatten()
            .filter(|s| s.is_idle())
            .map(|s| s.len)
            .sum()
    }

    fn remove(&mut self, key: usize) -> Option<S> {
        let segment = self.segments[key].take()?;
        self.total -= segment.len;
        Some(segment.memory)
    }
}

fn merge_with_next(free: &mut Vec<(usize, usize)>, index: usize) {
    let Some(&(next, next_len)) = free.get(index + 1) else {
        return;
    };
    let (offset, len) = &mut free[index];
    debug_assert!(*offset + *len <= next, "a place was given back twice");
    if *offset + *len == next {
        *len += next_len;
        free.remove(index + 1);
    }
}

#[cfg(test)]
mod tests;
