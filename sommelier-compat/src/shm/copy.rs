//! Copying pixels from a client's file into shared memory.
//!
//! With `pread`, not through a mapping of the client's file: a client may
//! truncate its file at any moment, and then a mapping raises `SIGBUS`, which
//! takes a handler for the whole process, while `pread` returns a short count.
//! It costs little: a frame of 1920×1080 took 2.7 ms (3.1 GB/s), `memcpy` from a
//! mapping that was kept 2.3 ms, and from one that was made for the frame, as
//! for a buffer that is used once, 3.7 ms
//! (`cargo test -p sommelier-compat --lib copy_speed -- --ignored --nocapture`).

use std::os::fd::AsFd;

use super::damage::{Damage, Rect};
use super::file::{PoolFile, ReadError};
use crate::sys::Mapping;

/// Bytes that could be copied in the time that one more `pread` takes, about
/// 0.4 µs: it decides between copying whole rows at once and parts of rows one
/// by one.
const CALL_COST: u64 = 4096;

/// Memory of a page that lies behind the end of a file reads as zeros, also
/// through a mapping.
const PAGE: u64 = 4096;

/// Where a buffer's pixels lie, in both files alike except for the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Byte offset in the client's file.
    pub offset: i32,
    /// Pixels of a row, at least 1.
    pub width: i32,
    /// Rows, at least 1.
    pub height: i32,
    /// Bytes from row to row, at least `width * bytes_per_pixel`.
    pub stride: i32,
    /// `wl_shm` format.
    pub format: u32,
    /// Bytes of a pixel.
    pub bytes_per_pixel: u32,
}

impl Layout {
    /// Bytes of the buffer.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.stride as u64 * self.height as u64
    }

    /// Never: a buffer has at least one pixel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// Brings the copy of a buffer at byte `at` of `target` up to date.
///
/// Returns the bytes copied, plus `CALL_COST` for each system call: a measure
/// of the time it took.
///
/// # Errors
/// [`ReadError`] when the file is too short or unreadable; the copy is then
/// partly old.
pub fn update(
    target: &Mapping,
    at: usize,
    file: &PoolFile,
    layout: &Layout,
    damage: &Damage,
) -> Result<u64, ReadError> {
    let everything = Rect {
        left: 0,
        top: 0,
        right: layout.width,
        bottom: layout.height,
    };
    if damage.is_whole() {
        return read_rect(target, at, file, layout, everything);
    }
    let rects = || {
        damage
            .rects()
            .iter()
            .filter_map(|r| r.clipped(layout.width, layout.height))
    };
    // Overlapping rectangles must not cost more than the buffer has.
    if rects().map(|rect| cost(layout, rect)).sum::<u64>() >= cost(layout, everything) {
        return read_rect(target, at, file, layout, everything);
    }
    rects().try_fold(0, |sum, rect| {
        Ok(sum + read_rect(target, at, file, layout, rect)?)
    })
}

/// How a rectangle is read: `(bytes of a part, parts)`.
fn parts(layout: &Layout, rect: Rect) -> (u64, u64) {
    let rows = (rect.bottom - rect.top) as u64;
    let row = (rect.right - rect.left) as u64 * u64::from(layout.bytes_per_pixel);
    if row + CALL_COST < layout.stride as u64 {
        (row, rows)
    } else {
        // From the first pixel of the first row to the last of the last one.
        (layout.stride as u64 * (rows - 1) + row, 1)
    }
}

fn cost(layout: &Layout, rect: Rect) -> u64 {
    let (len, count) = parts(layout, rect);
    (len + CALL_COST) * count
}

fn read_rect(
    target: &Mapping,
    at: usize,
    file: &PoolFile,
    layout: &Layout,
    rect: Rect,
) -> Result<u64, ReadError> {
    let (len, count) = parts(layout, rect);
    let first = rect.top as u64 * layout.stride as u64
        + rect.left as u64 * u64::from(layout.bytes_per_pixel);
    for part in 0..count {
        let start = first + part * layout.stride as u64;
        let position = layout.offset as u64 + start;
        let to = at + start as usize;
        let got = target.read_from(to, len as usize, file.as_fd(), position)?;
        if got < len as usize {
            let end = position + got as u64;
            if end.next_multiple_of(PAGE) < position + len {
                return Err(ReadError::Truncated);
            }
            target.zero(to + got, len as usize - got);
        }
    }
    Ok((len + CALL_COST) * count)
}

#[cfg(test)]
mod tests;
