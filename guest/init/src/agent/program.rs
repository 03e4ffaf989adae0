//! One program of the host, and its three pipes.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use calloop::RegistrationToken;
use guest_control::{Ended, Stream};
use nix::errno::Errno;
use nix::unistd::{Pid, read, write};

use super::text::Text;
use crate::sys;

/// Bytes of output in an event: six times as much in JSON at worst, below the longest line.
pub(super) const OUTPUT_BYTES: usize = 8192;

/// Input that waits for a program that does not read, in bytes. More is refused.
const MAX_INPUT: usize = 1 << 20;

/// A program does not read its input.
#[derive(Debug, thiserror::Error)]
#[error("the program does not read, {MAX_INPUT} bytes of input wait")]
pub(super) struct InputFull;

/// What comes from one of a program's outputs.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) stream: Stream,
    pipe: Rc<OwnedFd>,
    /// How it is known to the loop, while it is watched.
    pub(super) token: Option<RegistrationToken>,
    text: Text,
    /// Once the program has ended: bytes that are still its own. What comes later is written by
    /// programs it left behind.
    left: Option<usize>,
}

/// What reading an output gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Something to tell; may be empty, when a character is not complete.
    Text(String),
    /// Nothing for now.
    Nothing,
    /// Nothing ever again; the last of it.
    End(String),
}

impl Output {
    pub(super) fn new(stream: Stream, pipe: OwnedFd) -> Self {
        Self {
            stream,
            pipe: Rc::new(pipe),
            token: None,
            text: Text::default(),
            left: None,
        }
    }

    pub(super) fn read(&mut self) -> Chunk {
        let mut bytes = [0; OUTPUT_BYTES];
        let room = self.left.unwrap_or(OUTPUT_BYTES).min(OUTPUT_BYTES);
        if room == 0 {
            return Chunk::End(self.text.finish());
        }
        match read(&*self.pipe, &mut bytes[..room]) {
            Ok(0) => Chunk::End(self.text.finish()),
            Ok(count) => {
                if let Some(left) = &mut self.left {
                    *left -= count;
                }
                Chunk::Text(self.text.push(&bytes[..count]))
            }
            Err(Errno::EAGAIN | Errno::EINTR) if self.left.is_none() => Chunk::Nothing,
            Err(_) => Chunk::End(self.text.finish()),
        }
    }

    /// The program has ended: what is in the pipe now is the last of it.
    fn close(&mut self) {
        self.left = Some(sys::readable_bytes(&*self.pipe).unwrap_or(0));
    }

    /// The reading end; others than the program may still write to it.
    pub(super) fn pipe(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.pipe)
    }
}

/// How far input has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// The program has all of it, for now.
    Empty,
    /// The program is to take more.
    Waiting,
    /// The pipe is to be closed.
    Over,
}

/// What goes to a program's standard input.
#[derive(Debug)]
pub(super) struct Input {
    pipe: Rc<OwnedFd>,
    /// How it is known to the loop, while the program is to take something.
    pub(super) token: Option<RegistrationToken>,
    waiting: VecDeque<u8>,
    ending: bool,
}

impl Input {
    pub(super) fn new(pipe: OwnedFd) -> Self {
        Self {
            pipe: Rc::new(pipe),
            token: None,
            waiting: VecDeque::new(),
            ending: false,
        }
    }

    pub(super) fn push(&mut self, text: &str) -> Result<(), InputFull> {
        if self.waiting.len() + text.len() > MAX_INPUT {
            return Err(InputFull);
        }
        self.waiting.extend(text.as_bytes());
        Ok(())
    }

    pub(super) fn end(&mut self) {
        self.ending = true;
    }

    pub(super) fn pipe(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.pipe)
    }

    /// Writes what the program takes.
    pub(super) fn flush(&mut self) -> Flushed {
        while !self.waiting.is_empty() {
            match write(&*self.pipe, self.waiting.as_slices().0) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(Errno::EAGAIN) => return Flushed::Waiting,
                Err(Errno::EINTR) => {}
                // Nobody reads any more; that is the program's own business.
                Err(_) => return Flushed::Over,
            }
        }
        if self.ending {
            Flushed::Over
        } else {
            Flushed::Empty
        }
    }
}

/// A program that runs, or has ended with output still to be sent.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) pid: Pid,
    pub(super) input: Option<Input>,
    pub(super) outputs: Vec<Output>,
    /// Set once it has ended.
    pub(super) status: Option<Ended>,
}

impl Program {
    /// It has ended.
    pub(super) fn close(&mut self, status: Ended) {
        self.status = Some(status);
        for output in &mut self.outputs {
            output.close();
        }
    }
}
