//! Golden bytes, refusals, properties.

mod golden;
mod properties;
mod refusals;

use super::{Features, MsgType, VfdId};

/// What our own drivers and devices negotiate.
fn ours() -> Features {
    Features::all()
}

fn id(raw: u32) -> VfdId {
    VfdId::new(raw).expect("a valid id")
}

#[test]
fn the_document_names_every_message_and_feature() {
    let text = include_str!("../../PROTOCOL.md");
    for kind in MsgType::ALL {
        let number = *kind as u32;
        let named =
            text.contains(&format!("0x{number:X} ")) || text.contains(&format!("0x{number:x} "));
        assert!(named, "{kind:?} ({number:#x})");
    }
    for (name, bit) in Features::all().iter_names() {
        let row = format!("| {} | {name} |", bit.bits().trailing_zeros());
        assert!(text.contains(&row), "{row}");
    }
}

/// Bytes from words, as most messages are.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A message padded with zeros to the 64 bytes drivers send.
fn padded(front: &[u32]) -> Vec<u8> {
    let mut bytes = words(front);
    bytes.resize(64, 0);
    bytes
}
