//! Names for the inputs of something made, to see whether they have changed.

use sha2::{Digest as _, Sha256};

/// A running SHA-256 over named parts.
#[derive(Debug)]
pub(crate) struct Digest(Sha256);

impl Digest {
    /// Over nothing.
    pub(crate) fn new() -> Self {
        Self(Sha256::new())
    }

    /// Adds a part; lengths are added too, so that no two lists of parts look the same.
    pub(crate) fn add(&mut self, name: &str, bytes: impl AsRef<[u8]>) {
        for part in [name.as_bytes(), bytes.as_ref()] {
            self.0.update(part.len().to_le_bytes());
            self.0.update(part);
        }
    }

    /// As hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
