//! Events on their way to the host.

use std::collections::VecDeque;

use guest_control::Event;
use nix::errno::Errno;

/// From this many waiting bytes on nothing new is produced: programs' output stays in their pipes,
/// requests stay in the port.
const FULL: usize = 256 * 1024;

/// What waits for the host to read it.
///
/// What is already promised (the answer to a request, the end of a program) is always taken; it is
/// bounded by what is read while the outbox is not full.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: VecDeque<u8>,
    /// Bytes left of a line of which the host has got a part.
    cut: usize,
}

impl Outbox {
    /// Adds an event at the end.
    pub(crate) fn push(&mut self, event: &Event) {
        match serde_json::to_vec(event) {
            Ok(mut line) => {
                line.push(b'\n');
                self.bytes.extend(line);
            }
            Err(error) => tracing::error!("cannot write an event: {error}"),
        }
    }

    /// Whether producers must wait.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    /// Whether everything has been taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Gives waiting bytes to `write` until it takes no more.
    pub(crate) fn flush(
        &mut self,
        mut write: impl FnMut(&[u8]) -> nix::Result<usize>,
    ) -> nix::Result<()> {
        while !self.bytes.is_empty() {
            let (front, _) = self.bytes.as_slices();
            match write(front) {
                Ok(0) | Err(Errno::EAGAIN) => break,
                Ok(count) => self.taken(count.min(front.len())),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn taken(&mut self, count: usize) {
        let last = self.bytes.drain(..count).next_back();
        let rest = self.bytes.iter().position(|&byte| byte == b'\n');
        self.cut = match last {
            None | Some(b'\n') => 0,
            Some(_) => rest.map_or(0, |at| at + 1),
        };
    }

    /// A new host reads from here on: it must not see the rest of a line whose start went to the
    /// one before.
    pub(crate) fn new_reader(&mut self, first: &[Event]) {
        self.bytes.drain(..self.cut);
        self.cut = 0;
        let waiting = std::mem::take(&mut self.bytes);
        for event in first {
            self.push(event);
        }
        self.bytes.extend(waiting);
    }
}

#[cfg(test)]
mod tests;
