//! Golden bytes, refusals, properties.

mod golden;
mod properties;
mod refusals;

use super::{Features, VfdId};

/// What our own drivers and devices negotiate.
fn ours() -> Features {
    Features::all()
}

fn id(raw: u32) -> VfdId {
    VfdId::new(raw).expect("a valid id")
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
