//! Noticing that a compositor listens, at last or again.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use crate::display::Display;

#[cfg(test)]
mod tests;

/// Watches the directory of a display's socket.
///
/// Only a hint when to try again: a socket listens a moment after it has appeared.
#[derive(Debug)]
pub struct Appear {
    inotify: Inotify,
    watch: Option<WatchDescriptor>,
}

impl Appear {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// What inotify_init1(2) says.
    pub fn new() -> io::Result<Self> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        Ok(Self {
            inotify: Inotify::init(flags)?,
            watch: None,
        })
    }

    /// Watches the display's directory from now on, if it exists and is not watched already.
    pub fn watch(&mut self, display: &Display) {
        if self.watch.is_some() {
            return;
        }
        // A socket may also be made under another name and then moved.
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_ONLYDIR;
        match self.inotify.add_watch(display.directory(), flags) {
            Ok(watch) => self.watch = Some(watch),
            Err(errno) => tracing::debug!(%errno, "cannot watch the display's directory"),
        }
    }

    /// What to poll: readable when [`take`](Self::take) has something. A duplicate, for an event
    /// loop to own.
    ///
    /// # Errors
    /// What dup(2) says.
    pub fn events(&self) -> io::Result<OwnedFd> {
        self.inotify.as_fd().try_clone_to_owned()
    }

    /// Stops watching.
    pub fn rest(&mut self) {
        if let Some(watch) = self.watch.take() {
            // Gone with its directory, perhaps.
            let _ = self.inotify.rm_watch(watch);
        }
    }

    /// Takes all that has happened; true if some of it was about the display.
    ///
    /// # Errors
    /// What read(2) says.
    pub fn take(&mut self, display: &Display) -> io::Result<bool> {
        let mut about = false;
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => return Ok(about),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            for event in events {
                about |= event.name.as_deref() == Some(display.file_name());
                if event.mask.contains(AddWatchFlags::IN_IGNORED) && self.watch == Some(event.wd) {
                    self.watch = None;
                }
            }
        }
    }
}
