//! Which of a monitor's modes is used.

use std::cmp::Reverse;

use super::card::Mode;
use crate::core::Size;
use crate::render::pixels::MAX_SIDE;

/// Refresh rate of the frames drawn, so the best one for a mode to have.
const REFRESH: u32 = 60;

/// Smallest mode that is worth showing anything in.
const MIN_SIDE: i32 = 64;

/// The usable modes, best first: what the monitor prefers, then the largest,
/// then the one whose refresh rate is nearest to the one frames are drawn at.
pub(super) fn by_preference<T: Copy>(modes: &[Mode<T>]) -> Vec<Mode<T>> {
    let mut usable: Vec<_> = modes.iter().copied().filter(|m| fits(m.size)).collect();
    // Stable: among equals the kernel's order counts.
    usable.sort_by_key(|mode| {
        let off = mode.refresh.abs_diff(REFRESH);
        (Reverse(mode.preferred), Reverse(mode.size.area()), off)
    });
    usable
}

fn fits(size: Size) -> bool {
    [size.w, size.h]
        .iter()
        .all(|side| (MIN_SIDE..=MAX_SIDE).contains(side))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(w: i32, h: i32, refresh: u32, preferred: bool) -> Mode<()> {
        Mode {
            size: Size::new(w, h),
            refresh,
            preferred,
            timing: (),
        }
    }

    fn best(modes: &[Mode<()>]) -> Option<(Size, u32)> {
        by_preference(modes).first().map(|m| (m.size, m.refresh))
    }

    #[test]
    fn the_preferred_mode_wins_over_larger_ones() {
        let modes = [
            mode(1920, 1080, 60, false),
            mode(1024, 768, 60, true),
            mode(640, 480, 60, false),
        ];
        assert_eq!(best(&modes), Some((Size::new(1024, 768), 60)));
    }

    #[test]
    fn without_a_preference_the_largest_nearest_to_60_hz_wins() {
        let modes = [
            mode(640, 480, 60, false),
            mode(1280, 720, 120, false),
            mode(1280, 720, 59, false),
            mode(1280, 720, 50, false),
        ];
        assert_eq!(best(&modes), Some((Size::new(1280, 720), 59)));
    }

    #[test]
    fn absurd_modes_are_never_used() {
        let modes = [
            mode(65535, 65535, 60, true),
            mode(0, 0, 60, true),
            mode(800, 16, 60, true),
            mode(800, 600, 60, false),
        ];
        assert_eq!(best(&modes), Some((Size::new(800, 600), 60)));
        assert_eq!(best(&modes[..3]), None);
    }
}
