//! Reading the arguments of one message, in order.

use super::{padded, word_at};

/// A message whose body does not have the shape of its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// The body ends inside an argument.
    #[error("message is shorter than its arguments")]
    TooShort,
    /// Bytes follow the last argument.
    #[error("message is longer than its arguments")]
    TooLong,
    /// A string lacks its terminating NUL.
    #[error("string is not terminated")]
    Unterminated,
    /// Null where the protocol does not allow it.
    #[error("null where a value is required")]
    Null,
}

/// A cursor over the body of a message.
#[derive(Clone, Debug)]
pub struct ArgReader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> ArgReader<'a> {
    /// Starts at the first argument.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    /// Byte offset of the next argument in the body.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// An unsigned integer, an object id or a new id.
    ///
    /// # Errors
    /// [`BadMessage::TooShort`] at the end of the body.
    pub fn uint(&mut self) -> Result<u32, BadMessage> {
        let value = word_at(self.body, self.at).ok_or(BadMessage::TooShort)?;
        self.at += 4;
        Ok(value)
    }

    /// A signed integer or a fixed point number.
    ///
    /// # Errors
    /// [`BadMessage::TooShort`] at the end of the body.
    pub fn int(&mut self) -> Result<i32, BadMessage> {
        Ok(self.uint()?.cast_signed())
    }

    /// An array: length, then the bytes padded to whole words.
    ///
    /// # Errors
    /// [`BadMessage::TooShort`] when the length runs past the body.
    pub fn array(&mut self) -> Result<&'a [u8], BadMessage> {
        let len = self.uint()? as usize;
        let rest = &self.body[self.at..];
        if padded(len) > rest.len() {
            return Err(BadMessage::TooShort);
        }
        self.at += padded(len);
        Ok(&rest[..len])
    }

    /// A string without its terminator; `None` is the null string.
    ///
    /// # Errors
    /// [`BadMessage::TooShort`] and [`BadMessage::Unterminated`].
    pub fn string(&mut self) -> Result<Option<&'a [u8]>, BadMessage> {
        match self.array()? {
            [] => Ok(None),
            [text @ .., 0] => Ok(Some(text)),
            _ => Err(BadMessage::Unterminated),
        }
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// [`BadMessage::TooLong`] when something is.
    pub fn finish(self) -> Result<(), BadMessage> {
        if self.at == self.body.len() {
            Ok(())
        } else {
            Err(BadMessage::TooLong)
        }
    }
}
