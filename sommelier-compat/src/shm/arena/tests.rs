use proptest::prelude::*;

use super::*;

impl<S> Arena<S> {
    /// Free and taken ranges cover each segment exactly.
    fn verify(&self, taken: &[Place]) {
        let mut total = 0;
        for (key, segment) in self.segments.iter().enumerate() {
            let Some(segment) = segment else { continue };
            total += segment.len;
            let mut ranges = segment.free.clone();
            assert!(
                ranges
                    .windows(2)
                    .all(|pair| pair[0].0 + pair[0].1 < pair[1].0),
                "not merged"
            );
            let here = taken.iter().filter(|place| place.segment == key);
            ranges.extend(here.map(|place| (place.offset, place.len)));
            ranges.sort_unstable();
            let end = ranges.into_iter().fold(0, |end, (offset, len)| {
                assert_eq!(offset, end, "a gap or an overlap");
                offset + len
            });
            assert_eq!(end, segment.len);
        }
        assert_eq!(total, self.total());
    }
}

fn allocate(arena: &mut Arena<()>, len: usize) -> Place {
    arena.take(len).unwrap_or_else(|| {
        arena.add((), Arena::<()>::segment_len(len));
        arena.take(len).expect("room in a new segment")
    })
}

#[test]
fn small_buffers_share_and_large_ones_do_not() {
    let mut arena = Arena::default();
    let cursors: Vec<_> = (0..100)
        .map(|_| allocate(&mut arena, 32 * 32 * 4))
        .collect();
    assert!(cursors.iter().all(|place| place.segment == 0));
    let frame = allocate(&mut arena, 800 * 600 * 4);
    let other = allocate(&mut arena, 800 * 600 * 4);
    assert_ne!(frame.segment, other.segment);
    assert_eq!((frame.offset, other.offset), (0, 0));
}

#[test]
fn the_memory_of_a_large_buffer_does_not_go_to_a_much_smaller_one() {
    let mut arena = Arena::default();
    let large = allocate(&mut arena, 16 << 20);
    assert_eq!(arena.free(large), None, "kept");
    assert_ne!(allocate(&mut arena, 4 << 20).segment, large.segment);
    assert_eq!(allocate(&mut arena, 15 << 20).segment, large.segment);
}

#[test]
fn unused_memory_is_bounded() {
    let mut arena = Arena::default();
    let places: Vec<_> = (0..20).map(|_| allocate(&mut arena, 8 << 20)).collect();
    let given_back = places
        .into_iter()
        .filter_map(|place| arena.free(place))
        .count();
    assert!(arena.total() <= MAX_IDLE);
    assert_eq!(arena.total(), (20 - given_back) * (8 << 20));
}

#[test]
fn a_new_segment_always_fits() {
    for len in [
        1,
        UNIT,
        LARGE,
        LARGE + 1,
        SHARED_SEGMENT,
        (1 << 30) - 1,
        i32::MAX as usize,
    ] {
        let mut arena = Arena::default();
        assert_eq!(allocate(&mut arena, len).offset, 0);
        assert!(Arena::<()>::segment_len(len) <= (len + len / 8 + 1).max(SHARED_SEGMENT));
    }
}

proptest! {
    #[test]
    fn places_never_overlap(ops in prop::collection::vec((0..3_u8, 1..600_000_usize), 1..80)) {
        let mut arena = Arena::default();
        let mut taken: Vec<Place> = Vec::new();
        for (op, number) in ops {
            if op == 0 && !taken.is_empty() {
                let place = taken.swap_remove(number % taken.len());
                arena.free(place);
            } else {
                let len = if op == 1 { number % 5000 + 1 } else { number };
                taken.push(allocate(&mut arena, len));
            }
            arena.verify(&taken);
        }
    }
}
