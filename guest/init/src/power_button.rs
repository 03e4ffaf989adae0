//! The machine's power button: whoever presses it wants the guest to end in order.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use calloop::generic::Generic;
use calloop::{Interest, Mode, PostAction};
use nix::libc::{O_NONBLOCK, input_event};

use crate::devices;
use crate::init::{Ending, Init};

/// `EV_KEY` and `KEY_POWER` of linux/input-event-codes.h.
const POWER_PRESSED: (u16, u16, i32) = (1, 116, 1);

/// An event as read(2) gives it: a time, and then type, code and value.
const EVENT_BYTES: usize = size_of::<input_event>();

/// Type, code and value.
const TAIL_BYTES: usize = 8;

/// Events taken at a time; a press gives four.
const EVENTS: usize = 16;

/// A button.
#[derive(Debug)]
struct Button {
    file: File,
}

impl Button {
    fn open(node: &str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(Path::new("/dev").join(node))?;
        Ok(Self { file })
    }

    /// Whether it has been pressed since the last time.
    fn pressed(&self) -> io::Result<bool> {
        let mut events = [0; EVENTS * EVENT_BYTES];
        match (&self.file).read(&mut events) {
            Ok(count) => Ok(has_press(&events[..count])),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(false),
                _ => Err(error),
            },
        }
    }
}

impl AsFd for Button {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Whether one of these events is that of the button going down.
fn has_press(events: &[u8]) -> bool {
    events.chunks_exact(EVENT_BYTES).any(|event| {
        let Some((_, &[a, b, c, d, value @ ..])) = event.split_last_chunk::<TAIL_BYTES>() else {
            return false;
        };
        let (kind, code) = (u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]));
        (kind, code, i32::from_ne_bytes(value)) == POWER_PRESSED
    })
}

impl Init {
    /// Listens to the buttons that are there.
    pub(crate) fn look_for_buttons(&mut self) {
        for node in devices::nodes(Path::new("/dev"), "input") {
            self.listen_to_button(&node);
        }
    }

    /// Listens to a device if it is a power button, and is not listened to yet.
    pub(crate) fn listen_to_button(&mut self, node: &str) {
        if !devices::is_power_button(node) || self.buttons.contains(node) {
            return;
        }
        match self.watch_button(node) {
            Ok(()) => {
                tracing::info!("{node} is a power button");
                self.buttons.insert(node.to_owned());
            }
            Err(error) => tracing::warn!("cannot listen to the power button {node}: {error:#}"),
        }
    }

    fn watch_button(&self, node: &str) -> anyhow::Result<()> {
        let button = Button::open(node).context("cannot open it")?;
        let source = Generic::new(button, Interest::READ, Mode::Level);
        let name = node.to_owned();
        let inserted = self
            .handle
            .insert_source(source, move |_, button, init: &mut Self| {
                match button.pressed() {
                    Ok(false) => {}
                    Ok(true) => {
                        tracing::info!("the power button was pressed");
                        init.end(Ending::PowerOff);
                    }
                    Err(error) => {
                        tracing::debug!("{name}: {error}");
                        init.buttons.remove(&name);
                        return Ok(PostAction::Remove);
                    }
                }
                Ok(PostAction::Continue)
            });
        inserted.map_err(|error| error.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
