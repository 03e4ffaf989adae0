//! Pieces of any size give the same lines.

use guest_control::MAX_LINE_BYTES;
use proptest::prelude::*;

use super::{Lines, TooLong};

fn collect(lines: &mut Lines, bytes: &[u8]) -> Vec<Result<Vec<u8>, TooLong>> {
    let mut all = Vec::new();
    lines.push(bytes, |line| all.push(line.map(<[u8]>::to_vec)));
    all
}

#[test]
fn a_long_line_is_dropped_alone() {
    let mut lines = Lines::default();
    let long = vec![b'x'; MAX_LINE_BYTES];
    assert_eq!(collect(&mut lines, &long), []);
    assert_eq!(collect(&mut lines, &long), []);
    let rest = collect(&mut lines, b"tail\nnext\n");
    assert_eq!(rest, [Err(TooLong), Ok(b"next".to_vec())]);
}

#[test]
fn the_longest_line_passes() {
    let mut line = vec![b'x'; MAX_LINE_BYTES - 1];
    line.push(b'\n');
    let got = collect(&mut Lines::default(), &line);
    assert_eq!(got, [Ok(line[..line.len() - 1].to_vec())]);
}

#[test]
fn clear_forgets_the_start() {
    let mut lines = Lines::default();
    assert_eq!(collect(&mut lines, b"half"), []);
    lines.clear();
    assert_eq!(collect(&mut lines, b"whole\n"), [Ok(b"whole".to_vec())]);
}

proptest! {
    #[test]
    fn pieces_do_not_matter(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200), size in 1_usize..20) {
        let whole = collect(&mut Lines::default(), &bytes);
        let mut lines = Lines::default();
        let pieces: Vec<_> = bytes.chunks(size).flat_map(|piece| collect(&mut lines, piece)).collect();
        prop_assert_eq!(whole, pieces);
    }
}
