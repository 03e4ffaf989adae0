//! Lines out of a stream of bytes, none of them longer than allowed.

use guest_control::MAX_LINE_BYTES;

/// A line of more than [`MAX_LINE_BYTES`]; it is dropped to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// The unfinished line at the end of what has come so far.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    dropping: bool,
}

impl Lines {
    /// Takes bytes, and gives each line they finish, without its newline.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Result<&[u8], TooLong>)) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, finished) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            if self.partial.len() + text.len() >= MAX_LINE_BYTES {
                self.partial.clear();
                self.dropping = true;
            }
            if !self.dropping {
                self.partial.extend_from_slice(text);
            }
            if finished {
                each(if self.dropping {
                    Err(TooLong)
                } else {
                    Ok(&self.partial)
                });
                self.partial.clear();
                self.dropping = false;
            }
        }
    }

    /// Forgets an unfinished line: its sender has gone.
    pub(crate) fn clear(&mut self) {
        self.partial.clear();
        self.dropping = false;
    }
}

#[cfg(test)]
mod tests;
