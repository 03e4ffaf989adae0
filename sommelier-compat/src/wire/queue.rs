//! Bytes and descriptors on their way in and out.
//!
//! A Wayland message carries its descriptors out of band, in order. The rule of
//! both transports is the same: a descriptor may arrive before the bytes that
//! mention it, never after.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{HEADER_LEN, MAX_FDS_PER_SEND, MAX_MESSAGE_LEN, padded, size_and_opcode};

/// Bytes an input queue holds: room for the largest message and for a good
/// batch of ordinary ones, so that one receive serves a whole burst.
const IN_CAPACITY: usize = 2 * (MAX_MESSAGE_LEN + 4);

/// Once drained, an output queue keeps no more than this many bytes allocated.
const OUT_KEEP: usize = 64 * 1024;

/// Received bytes not yet interpreted, and received descriptors not yet claimed
/// by a message.
#[derive(Debug)]
pub struct InQueue<F> {
    buf: Box<[u8]>,
    start: usize,
    end: usize,
    /// Descriptors in the order of arrival.
    pub fds: VecDeque<F>,
}

impl<F> Default for InQueue<F> {
    fn default() -> Self {
        Self {
            buf: vec![0; IN_CAPACITY].into(),
            start: 0,
            end: 0,
            fds: VecDeque::new(),
        }
    }
}

impl<F> InQueue<F> {
    /// The unread bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// The unread bytes, and the descriptors to take from.
    pub fn split(&mut self) -> (&[u8], &mut VecDeque<F>) {
        (&self.buf[self.start..self.end], &mut self.fds)
    }

    /// Free space behind the unread bytes, never empty while every complete
    /// message is consumed before the next receive.
    pub fn space(&mut self) -> &mut [u8] {
        if self.buf.len() - self.end <= MAX_MESSAGE_LEN {
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.buf[self.end..]
    }

    /// Says that `len` bytes of [`space`](Self::space) were filled.
    ///
    /// # Panics
    /// If that is more than there was.
    pub fn filled(&mut self, len: usize) {
        self.end += len;
        assert!(self.end <= self.buf.len());
    }

    /// Drops the first `len` unread bytes.
    pub fn consume(&mut self, len: usize) {
        debug_assert!(len <= self.end - self.start);
        self.start += len;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }
}

/// Messages to be sent, with their descriptors.
#[derive(Debug, Default)]
pub struct OutQueue {
    buf: Vec<u8>,
    /// Bytes of `buf` already sent.
    start: usize,
    /// Bytes ever dropped from the front of `buf`.
    dropped: u64,
    /// Stream position of the message that a descriptor belongs to.
    fds: VecDeque<(u64, OwnedFd)>,
}

impl OutQueue {
    /// Bytes waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buf.len() - self.start
    }

    /// Whether nothing waits. Descriptors never wait without bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Descriptors waiting.
    #[must_use]
    pub fn fd_count(&self) -> usize {
        self.fds.len()
    }

    /// Starts a message that is written argument by argument.
    pub fn message(&mut self, object: u32, opcode: u16) -> MessageWriter<'_> {
        let at = self.buf.len();
        self.buf.extend_from_slice(&object.to_ne_bytes());
        self.buf.extend_from_slice(&u32::from(opcode).to_ne_bytes());
        MessageWriter {
            queue: self,
            at,
            opcode,
        }
    }

    /// Appends a message with an unchanged body, to be patched by
    /// [`Draft::set_word`].
    pub fn copy(&mut self, object: u32, opcode: u16, body: &[u8]) -> Draft<'_> {
        let at = self.buf.len();
        let (fd_mark, word) = (
            self.fds.len(),
            size_and_opcode(HEADER_LEN + body.len(), opcode),
        );
        self.buf.reserve(HEADER_LEN + body.len());
        self.buf.extend_from_slice(&object.to_ne_bytes());
        self.buf.extend_from_slice(&word.to_ne_bytes());
        self.buf.extend_from_slice(body);
        Draft {
            queue: self,
            at,
            fd_mark,
            keep: false,
        }
    }

    /// What the next send should pass: some bytes and up to
    /// [`MAX_FDS_PER_SEND`] descriptors, which belong to messages that start
    /// within them. The bytes end before a message whose descriptors do not
    /// fit.
    pub fn chunk<'a>(&'a self, fds: &mut Vec<BorrowedFd<'a>>) -> &'a [u8] {
        let origin = self.dropped + self.start as u64;
        let mut bytes = &self.buf[self.start..];
        if let Some((position, _)) = self.fds.get(MAX_FDS_PER_SEND) {
            // The message that does not fit; when it is the first one, or one
            // that is already partly sent, its first descriptors go with one
            // byte, as libwayland does.
            let len = position.saturating_sub(origin).max(1) as usize;
            bytes = &bytes[..len.min(bytes.len())];
        }
        let end = origin + bytes.len() as u64;
        let within = self.fds.iter().take_while(|(position, _)| *position < end);
        fds.extend(within.take(MAX_FDS_PER_SEND).map(|(_, fd)| fd.as_fd()));
        bytes
    }

    /// Says that `bytes` and `fds` of the last chunk were sent.
    pub fn sent(&mut self, bytes: usize, fds: usize) {
        debug_assert!(bytes <= self.len() && fds <= self.fds.len());
        self.start += bytes;
        self.fds.drain(..fds);
        if self.start == self.buf.len() {
            self.dropped += self.start as u64;
            self.start = 0;
            self.buf.clear();
            self.buf.shrink_to(OUT_KEEP);
        } else if self.start >= OUT_KEEP && self.start * 2 >= self.buf.len() {
            self.dropped += self.start as u64;
            self.buf.drain(..self.start);
            self.start = 0;
        }
    }

    fn push_fd(&mut self, at: usize, fd: OwnedFd) {
        self.fds.push_back((self.dropped + at as u64, fd));
    }
}

/// A message being written; it is complete when the writer is dropped.
#[derive(Debug)]
pub struct MessageWriter<'a> {
    queue: &'a mut OutQueue,
    at: usize,
    opcode: u16,
}

impl MessageWriter<'_> {
    /// Appends an unsigned integer or an id.
    #[must_use = "chain further arguments or drop explicitly"]
    pub fn uint(self, value: u32) -> Self {
        self.queue.buf.extend_from_slice(&value.to_ne_bytes());
        self
    }

    /// Appends a signed integer.
    #[must_use = "chain further arguments or drop explicitly"]
    pub fn int(self, value: i32) -> Self {
        self.uint(value.cast_unsigned())
    }

    /// Appends a string that contains no NUL.
    #[must_use = "chain further arguments or drop explicitly"]
    pub fn string(self, text: &str) -> Self {
        let len = text.len() + 1;
        let this = self.uint(len as u32);
        this.queue.buf.extend_from_slice(text.as_bytes());
        let padding = padded(len) - text.len();
        this.queue.buf.extend_from_slice(&[0; 4][..padding]);
        this
    }

    /// Attaches a descriptor.
    #[must_use = "chain further arguments or drop explicitly"]
    pub fn fd(self, fd: OwnedFd) -> Self {
        self.queue.push_fd(self.at, fd);
        self
    }

    /// Completes the message.
    pub fn done(self) {}
}

impl Drop for MessageWriter<'_> {
    fn drop(&mut self) {
        let word = size_and_opcode(self.queue.buf.len() - self.at, self.opcode);
        self.queue.buf[self.at + 4..self.at + 8].copy_from_slice(&word.to_ne_bytes());
    }
}

/// A copied message that is still being checked: dropped without
/// [`keep`](Self::keep) it leaves no trace.
#[derive(Debug)]
pub struct Draft<'a> {
    queue: &'a mut OutQueue,
    at: usize,
    fd_mark: usize,
    keep: bool,
}

impl Draft<'_> {
    /// Replaces the word at byte `offset` of the body.
    pub fn set_word(&mut self, offset: usize, value: u32) {
        let at = self.at + HEADER_LEN + offset;
        self.queue.buf[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    /// Attaches a descriptor.
    pub fn fd(&mut self, fd: OwnedFd) {
        self.queue.push_fd(self.at, fd);
    }

    /// Makes the message part of the queue.
    pub fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.keep {
            self.queue.buf.truncate(self.at);
            self.queue.fds.truncate(self.fd_mark);
        }
    }
}
