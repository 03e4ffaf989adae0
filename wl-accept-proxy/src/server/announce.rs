//! The socket to which the compositor's device connects for its guest's `wl-accept`.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use anyhow::Context as _;
use calloop::generic::Generic;
use calloop::{Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use virtio_wl::accept_record::AcceptRecord;
use virtio_wl::host::listener::Listener;

use super::{Proxy, insert};
use crate::config::Compositor;

/// The listening socket, and the one who reads the records.
///
/// The last to connect is the one: a compositor that starts again is there before its
/// predecessor's context has been cleared away.
#[derive(Debug)]
pub(super) struct Announcer {
    listener: RegistrationToken,
    reader: Option<Reader>,
    /// Tells readers apart.
    serial: u64,
}

#[derive(Debug)]
struct Reader {
    stream: UnixStream,
    token: RegistrationToken,
    serial: u64,
    /// Bytes of records not yet written. Bounded by the connections that may wait.
    unwritten: VecDeque<u8>,
}

impl Announcer {
    pub(super) fn listen(
        handle: &LoopHandle<'static, Proxy>,
        compositor: &Compositor,
    ) -> anyhow::Result<Self> {
        let path = &compositor.announce;
        let listener = Listener::bind(path, compositor.announce_mode, compositor.announce_owner)
            .context("announcements")?;
        let source = Generic::new(listener, Interest::READ, Mode::Level);
        let listener = insert(handle, source, |_, listener, proxy| {
            match listener.accept() {
                Ok(Some(stream)) => proxy.reader_connected(stream),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "cannot accept the compositor's device"),
            }
            Ok(PostAction::Continue)
        })?;
        Ok(Self {
            listener,
            reader: None,
            serial: 0,
        })
    }

    /// A record for the reader.
    pub(super) fn push(&mut self, record: &AcceptRecord) {
        if let Some(reader) = &mut self.reader {
            reader.unwritten.extend(record.encode());
        }
    }
}

impl Proxy {
    fn reader_connected(&mut self, stream: UnixStream) {
        match self.add_reader(stream) {
            Ok(reader) => {
                self.drop_reader();
                self.announcer.reader = Some(reader);
                self.desk.reader_up();
                tracing::info!("the compositor listens");
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "cannot serve the compositor");
            }
        }
    }

    fn add_reader(&mut self, stream: UnixStream) -> anyhow::Result<Reader> {
        // Nothing is ever read from it, so let nothing be sent.
        stream.shutdown(Shutdown::Read)?;
        self.announcer.serial += 1;
        let serial = self.announcer.serial;
        // Edges: room to write after there was none, and the peer's end. Both are rare.
        let source = Generic::new(stream.try_clone()?, Interest::BOTH, Mode::Edge);
        let token = insert(&self.handle, source, move |_, stream, proxy| {
            if has_ended(stream) {
                proxy.reader_ended(serial);
            }
            // Records are written after every turn.
            Ok(PostAction::Continue)
        })?;
        Ok(Reader {
            stream,
            token,
            serial,
            unwritten: VecDeque::new(),
        })
    }

    fn reader_ended(&mut self, serial: u64) {
        let current = self.announcer.reader.as_ref().map(|reader| reader.serial);
        if current == Some(serial) {
            self.drop_reader();
            tracing::info!("the compositor does not listen any more; clients wait");
        }
    }

    fn drop_reader(&mut self) {
        if let Some(reader) = self.announcer.reader.take() {
            self.handle.remove(reader.token);
            self.desk.reader_down();
        }
    }

    /// Writes as many records as there is room for.
    pub(super) fn flush_records(&mut self) {
        let Some(reader) = &mut self.announcer.reader else {
            return;
        };
        while !reader.unwritten.is_empty() {
            let bytes = reader.unwritten.make_contiguous();
            match reader.stream.write(bytes) {
                Ok(count) => drop(reader.unwritten.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::debug!(%error, "cannot announce");
                    let serial = reader.serial;
                    return self.reader_ended(serial);
                }
            }
        }
    }

    /// Listens elsewhere from now on.
    pub(super) fn announce_anew(&mut self) -> anyhow::Result<()> {
        self.drop_reader();
        self.handle.remove(self.announcer.listener);
        self.announcer = Announcer::listen(&self.handle, &self.compositor)?;
        Ok(())
    }
}

fn has_ended(stream: &UnixStream) -> bool {
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    let ended = PollFlags::POLLHUP | PollFlags::POLLERR;
    match poll(&mut fds, PollTimeout::ZERO) {
        Ok(_) => fds[0]
            .revents()
            .is_some_and(|events| events.intersects(ended)),
        Err(_) => false,
    }
}
