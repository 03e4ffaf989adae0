use proptest::prelude::*;

use super::*;

fn covers(damage: &Damage, x: i32, y: i32) -> bool {
    let inside =
        |rect: &Rect| (rect.left..rect.right).contains(&x) && (rect.top..rect.bottom).contains(&y);
    damage.is_whole() || damage.rects().iter().any(inside)
}

#[test]
fn extreme_rectangles_saturate() {
    let all = Rect::from_size(i32::MIN, i32::MIN, i32::MAX, i32::MAX).expect("not empty");
    assert_eq!(all.clipped(10, 10), None, "ends at -1");
    let all = Rect::from_size(0, 0, i32::MAX, i32::MAX).expect("not empty");
    assert_eq!(
        all.scaled(i32::MAX).clipped(10, 10),
        Rect::from_size(0, 0, 10, 10)
    );
    assert_eq!(Rect::from_size(5, 5, 0, 1), None);
    assert_eq!(Rect::from_size(5, 5, 1, -1), None);
    let far = Rect::from_size(i32::MAX, 0, 10, 10).expect("not empty");
    assert_eq!(far.clipped(i32::MAX, 10), None);
}

#[test]
fn a_scaled_rectangle_keeps_its_edges() {
    let rect = Rect::from_size(1, 2, 3, 4).expect("not empty").scaled(2);
    assert_eq!(
        rect,
        Rect {
            left: 2,
            top: 4,
            right: 8,
            bottom: 12
        }
    );
}

#[test]
fn history_joins_what_happened_since() {
    let mut history = History::default();
    let rect = |n: i32| Rect::from_size(n, n, 1, 1).expect("not empty");
    for n in 1..=20 {
        let mut damage = Damage::default();
        damage.add(rect(n));
        history.record(damage);
    }
    assert_eq!(history.since(20).rects(), []);
    assert_eq!(history.since(18).rects(), [rect(19), rect(20)]);
    assert!(!history.since(20 - MAX_AGE as u64).is_whole());
    assert!(
        history.since(20 - MAX_AGE as u64 - 1).is_whole(),
        "forgotten"
    );
    assert!(history.since(21).is_whole(), "of another surface's count");
}

proptest! {
    #[test]
    fn a_set_covers_everything_that_was_added(
        rects in prop::collection::vec((-50..50, -50..50, 0..40, 0..40), 0..30),
    ) {
        let mut damage = Damage::default();
        let added: Vec<Rect> =
            rects.into_iter().filter_map(|(x, y, w, h)| Rect::from_size(x, y, w, h)).collect();
        for rect in &added {
            damage.add(*rect);
        }
        for rect in added {
            for (x, y) in [(rect.left, rect.top), (rect.right - 1, rect.bottom - 1)] {
                prop_assert!(covers(&damage, x, y));
            }
        }
    }
}
