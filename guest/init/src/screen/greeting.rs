//! Where a new host begins in the bytes of the port.

use std::mem;

/// How the first line of a host begins.
const HELLO: &[u8] = b"{\"hello\":";

/// Reads lines; keeps the beginning of one until it tells whether it is a greeting.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    line: Line,
}

#[derive(Debug)]
enum Line {
    /// As much as agrees with a greeting.
    Begun(Vec<u8>),
    /// It is none, or one that has been told.
    Rest,
}

impl Default for Line {
    fn default() -> Self {
        Self::Begun(Vec::new())
    }
}

/// What a byte comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Not told yet.
    Part,
    /// Bytes of the host that is there.
    Bytes(Vec<u8>),
    /// The first bytes of a new one.
    Hello(Vec<u8>),
}

impl Greeting {
    /// Takes the next byte.
    pub(super) fn next(&mut self, byte: u8) -> Piece {
        let piece = match &mut self.line {
            Line::Rest => Piece::Bytes(vec![byte]),
            Line::Begun(begun) => {
                begun.push(byte);
                if begun == HELLO {
                    Piece::Hello(mem::take(begun))
                } else if HELLO.starts_with(begun) {
                    return Piece::Part;
                } else {
                    Piece::Bytes(mem::take(begun))
                }
            }
        };
        self.line = if byte == b'\n' {
            Line::default()
        } else {
            Line::Rest
        };
        piece
    }
}

#[cfg(test)]
mod tests;
