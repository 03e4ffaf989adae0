//! Text out of bytes that arrive in pieces.

/// Keeps the start of a character whose end has not come yet, so that only what is truly not UTF-8
/// becomes U+FFFD.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// At most three bytes: the start of a character.
    partial: Vec<u8>,
}

impl Text {
    /// What can be said of the text so far.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.partial.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.partial);
        let keep = incomplete_tail(&bytes);
        let (whole, tail) = bytes.split_at(bytes.len() - keep);
        self.partial.extend_from_slice(tail);
        String::from_utf8_lossy(whole).into_owned()
    }

    /// What is left at the end.
    pub(crate) fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned()
    }
}

/// How many bytes at the end are the start of a character that may still be completed.
fn incomplete_tail(bytes: &[u8]) -> usize {
    let start = bytes.len().saturating_sub(3);
    (start..bytes.len())
        .map(|at| &bytes[at..])
        .find(|tail| {
            std::str::from_utf8(tail)
                .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests;
