//! From what a frame changed to the few rectangles an adapter is told of.
//!
//! Each rectangle costs a round through the kernel, and virtio-gpu sends the
//! bounding box of all that one round names to the host. So rectangles that lie
//! close together are joined, and those that lie far apart are told one by one:
//! a cursor in one corner and a clock in the other must not send the whole screen.

use crate::core::{Point, Rect, Size};

/// Most rectangles told for one frame.
pub(super) const MAX_CLIPS: usize = 8;

/// What one more rectangle may cost, in pixels sent for nothing: a round through
/// the kernel takes about as long as sending so many.
const ROUND_COST: u64 = 64 * 64;

/// At most [`MAX_CLIPS`] rectangles inside `screen` that hold all of `damage`.
pub(super) fn clips(damage: &[Rect], screen: Size) -> Vec<Rect> {
    let screen = Rect::at(Point::default(), screen);
    let mut out: Vec<Rect> = Vec::with_capacity(MAX_CLIPS + 1);
    for rect in damage.iter().filter_map(|r| r.intersection(screen)) {
        out.push(rect);
        while let Some((a, b)) = closest_pair(&out) {
            let joined = out[a].union(out[b]);
            // `b` is behind `a`, so its removal moves nothing before it.
            out.swap_remove(b);
            out[a] = joined;
        }
    }
    out
}

/// The two rectangles that are best joined, if two must or should be.
fn closest_pair(rects: &[Rect]) -> Option<(usize, usize)> {
    let pairs = (0..rects.len()).flat_map(|a| (a + 1..rects.len()).map(move |b| (a, b)));
    let (waste, a, b) = pairs
        .map(|(a, b)| (waste(rects[a], rects[b]), a, b))
        .min()?;
    (rects.len() > MAX_CLIPS || waste <= ROUND_COST).then_some((a, b))
}

/// Pixels sent for nothing if the two are sent as one.
fn waste(a: Rect, b: Rect) -> u64 {
    let separate = a.size().area() + b.size().area();
    a.union(b).size().area().saturating_sub(separate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCREEN: Size = Size::new(1920, 1080);

    #[test]
    fn far_apart_stays_apart() {
        let damage = [Rect::new(0, 0, 16, 16), Rect::new(1900, 1060, 16, 16)];
        assert_eq!(clips(&damage, SCREEN), damage);
    }

    #[test]
    fn neighbours_and_overlaps_are_joined() {
        let damage = [
            Rect::new(10, 10, 20, 20),
            Rect::new(30, 10, 20, 20),
            Rect::new(15, 15, 5, 5),
        ];
        assert_eq!(clips(&damage, SCREEN), [Rect::new(10, 10, 40, 20)]);
    }

    #[test]
    fn a_row_of_letters_is_one() {
        let damage: Vec<_> = (0..80)
            .map(|i| Rect::new(100 + 9 * i, 200, 9, 18))
            .collect();
        assert_eq!(clips(&damage, SCREEN), [Rect::new(100, 200, 720, 18)]);
    }

    #[test]
    fn off_the_screen_is_nothing() {
        let damage = [Rect::new(-50, -50, 60, 60), Rect::new(1920, 0, 10, 10)];
        assert_eq!(clips(&damage, SCREEN), [Rect::new(0, 0, 10, 10)]);
        assert!(clips(&[], SCREEN).is_empty());
    }

    fn rect() -> impl Strategy<Value = Rect> {
        (-100..2000, -100..1200, 0..600, 0..600).prop_map(|(x, y, w, h)| Rect::new(x, y, w, h))
    }

    proptest! {
        #[test]
        fn few_rectangles_hold_all_damage(damage in prop::collection::vec(rect(), 0..60)) {
            let screen = Rect::at(Point::default(), SCREEN);
            let clips = clips(&damage, SCREEN);
            prop_assert!(clips.len() <= MAX_CLIPS);
            for clip in &clips {
                prop_assert_eq!(clip.intersection(screen), Some(*clip));
            }
            for visible in damage.iter().filter_map(|r| r.intersection(screen)) {
                prop_assert!(clips.iter().any(|clip| clip.intersection(visible) == Some(visible)));
            }
        }
    }
}
