//! Characters cut in the middle.

use proptest::prelude::*;

use super::Text;

fn through(bytes: &[u8], size: usize) -> String {
    let mut text = Text::default();
    let mut all: String = bytes.chunks(size).map(|piece| text.push(piece)).collect();
    all.push_str(&text.finish());
    all
}

#[test]
fn a_cut_character_is_whole_again() {
    assert_eq!(through("a€ß😀z".as_bytes(), 1), "a€ß😀z");
}

#[test]
fn what_is_not_text_is_replaced_at_once() {
    let mut text = Text::default();
    assert_eq!(text.push(b"a\xffb"), "a\u{fffd}b");
    assert_eq!(text.push(b"\xe2\x82"), "");
    assert_eq!(text.finish(), "\u{fffd}");
}

proptest! {
    #[test]
    fn as_if_in_one_piece(bytes in proptest::collection::vec(any::<u8>(), 0..64), size in 1_usize..8) {
        prop_assert_eq!(through(&bytes, size), String::from_utf8_lossy(&bytes));
    }
}
