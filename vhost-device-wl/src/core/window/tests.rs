use proptest::prelude::*;

use super::*;

#[test]
fn ranges_are_reused_lowest_first_and_merge() {
    let mut window = Window::new(4 * PAGE);
    let a = window.take(PAGE).unwrap();
    let b = window.take(PAGE).unwrap();
    let c = window.take(2 * PAGE).unwrap();
    assert_eq!((a, b, c), (0, PAGE, 2 * PAGE));
    assert_eq!(window.take(PAGE), None);
    window.give(a, PAGE);
    window.give(c, 2 * PAGE);
    assert_eq!(window.take(3 * PAGE), None);
    window.give(b, PAGE);
    assert_eq!(window.take(4 * PAGE), Some(0));
}

#[test]
fn a_window_without_a_whole_page_has_nothing() {
    assert_eq!(Window::new(PAGE - 1).take(PAGE), None);
}

proptest! {
    #[test]
    fn live_ranges_never_overlap(ops in prop::collection::vec((any::<bool>(), 1u64..6, 0usize..64), 1..200)) {
        let mut window = Window::new(32 * PAGE);
        let mut live: Vec<(u64, u64)> = Vec::new();
        for (take, pages, pick) in ops {
            if take {
                if let Some(start) = window.take(pages * PAGE) {
                    live.push((start, pages * PAGE));
                }
            } else if !live.is_empty() {
                let (start, len) = live.swap_remove(pick % live.len());
                window.give(start, len);
            }
            let mut sorted = live.clone();
            sorted.sort_unstable();
            for pair in sorted.windows(2) {
                prop_assert!(pair[0].0 + pair[0].1 <= pair[1].0);
            }
            prop_assert!(sorted.last().is_none_or(|r| r.0 + r.1 <= window.len()));
        }
        for (start, len) in live.drain(..) {
            window.give(start, len);
        }
        prop_assert!(window.is_empty());
    }
}
