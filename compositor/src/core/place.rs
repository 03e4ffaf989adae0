//! Where a new window goes: where it covers least of what is there already.

use super::{Point, Rect, Size};

/// Windows looked at when a place is searched: the newest. The search takes the
/// third power of it, and a client may map windows as fast as it likes.
const MAX_NEIGHBOURS: usize = 16;

/// The corner for a frame of `size` on a monitor's `area` that already shows `taken`.
///
/// Candidates are the corner of the area and the edges of the windows there,
/// kept inside the area where the frame fits; the one that covers least wins,
/// then the topmost, then the leftmost. The same windows in the same order
/// always give the same picture.
pub(super) fn place(area: Rect, size: Size, taken: &[Rect]) -> Point {
    let taken = &taken[taken.len().saturating_sub(MAX_NEIGHBOURS)..];
    let inside = |at: i32, len: i32, from: i32, to: i32| at.min(to.saturating_sub(len)).max(from);
    let xs = candidates(area.x, taken.iter().map(|r| r.right()))
        .map(|x| inside(x, size.w, area.x, area.right()));
    let ys: Vec<i32> = candidates(area.y, taken.iter().map(|r| r.bottom()))
        .map(|y| inside(y, size.h, area.y, area.bottom()))
        .collect();
    xs.flat_map(|x| ys.iter().map(move |&y| Point::new(x, y)))
        .min_by_key(|&at| (covered(Rect::at(at, size), taken), at.y, at.x))
        .unwrap_or(area.origin())
}

fn candidates(first: i32, others: impl Iterator<Item = i32>) -> impl Iterator<Item = i32> {
    std::iter::once(first).chain(others)
}

/// Pixels of `taken` that `frame` would cover, counted once per window.
fn covered(frame: Rect, taken: &[Rect]) -> u64 {
    taken
        .iter()
        .filter_map(|r| r.intersection(frame))
        .fold(0, |sum: u64, r| sum.saturating_add(r.size().area()))
}
