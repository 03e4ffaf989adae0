//! One client with its connection to the host: the relay joined to real
//! sockets, never blocking on either.

mod device;
mod host;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

pub use device::DeviceHost;
pub use host::{Host, HostFd, HostStream, SocketHost, SocketStream};

use crate::relay::{ClientError, HostError, Relay, display_error};
use crate::sys;
use crate::wire::{BadLength, InQueue, Message, OutQueue};

/// Requests wait in the client's socket while this much waits for the host, in
/// bytes.
const PAUSE_BYTES: usize = 256 * 1024;

/// The same for descriptors, which are scarcer.
const PAUSE_FDS: usize = 56;

/// A client that leaves this much unread is disconnected, in bytes. libwayland
/// gives up after 4 KiB and a full socket buffer; more helps a client that is
/// stopped for a moment. Events are never left at the host: its queue is
/// shared by all connections of the guest.
const MAX_UNREAD_BYTES: usize = 1 << 20;

/// The same for descriptors.
const MAX_UNREAD_FDS: usize = 256;

/// Descriptors a client may send ahead of the requests that they belong to: ten
/// full messages.
const MAX_EARLY_FDS: usize = 280;

/// Time that copying for one client may take before the others have their turn,
/// in bytes (see [`Relay::take_copy_cost`]): a frame of 3840×2160 pixels.
const COPY_PER_TURN: u64 = 3840 * 2160 * 4;

/// A receive of this many bytes means that more may be waiting: what a message
/// of the device carries at most.
const FULL_RECEIVE: usize = virtio_wl::limits::MAX_CHUNK;

/// Receives from the host for one client before the others have their turn.
const RECEIVES_PER_TURN: usize = 16;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// The client closed it.
    #[error("the client disconnected")]
    Client,
    /// The host closed it.
    #[error("the host disconnected")]
    Host,
    /// An error was sent to the client.
    #[error("the client was told of an error")]
    Failed,
    /// The client does not read.
    #[error("the client leaves too much unread")]
    Unread,
    /// The client's socket failed.
    #[error("cannot exchange data with the client")]
    ClientIo(#[source] io::Error),
    /// The host's connection failed.
    #[error("cannot exchange data with the host")]
    HostIo(#[source] io::Error),
    /// The host sent what the relay cannot forward.
    #[error("cannot forward an event")]
    Event(#[source] HostError),
    /// The host's framing is broken.
    #[error("the host broke the wire format")]
    Framing(#[source] BadLength),
}

/// One client and its connection to the host.
#[derive(Debug)]
pub struct Connection {
    client: UnixStream,
    host: Box<dyn HostStream>,
    from_client: InQueue<OwnedFd>,
    from_host: InQueue<HostFd>,
    relay: Relay,
    control: Vec<u8>,
    client_closed: bool,
    host_closed: bool,
    /// The host did not take everything; wait until it does.
    host_full: bool,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// Requests of the client.
    pub client_read: bool,
    /// Room in the client's socket.
    pub client_write: bool,
    /// Room on the way to the host.
    pub host_write: bool,
    /// Nothing: there is more to do at once.
    pub turn: bool,
}

impl Connection {
    /// Joins a client's socket to a host connection.
    ///
    /// # Errors
    /// When the host cannot be reached.
    pub fn new(client: UnixStream, host: &dyn Host) -> io::Result<Self> {
        Ok(Self {
            client,
            host: host.connect()?,
            from_client: InQueue::default(),
            from_host: InQueue::default(),
            relay: Relay::new(host.allocator()),
            control: Vec::new(),
            client_closed: false,
            host_closed: false,
            host_full: false,
        })
    }

    /// Hides `wl_surface.damage_buffer` from the client.
    pub fn hide_damage_buffer(&mut self) {
        self.relay.hide_damage_buffer();
    }

    /// The client's socket, to be polled.
    #[must_use]
    pub fn client_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }

    /// The host's connection, to be polled.
    #[must_use]
    pub fn host_fd(&self) -> BorrowedFd<'_> {
        self.host.as_fd()
    }

    /// Receives from the client.
    ///
    /// # Errors
    /// [`End::ClientIo`].
    pub fn client_readable(&mut self) -> Result<(), End> {
        let Self {
            client,
            from_client,
            control,
            ..
        } = self;
        let mut fds = Vec::new();
        match sys::receive(client, from_client.space(), &mut fds, control) {
            Ok(0) => self.client_closed = true,
            Ok(len) => {
                from_client.filled(len);
                from_client.fds.extend(fds);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // It left without reading everything.
            Err(error) if is_gone(&error) => self.client_closed = true,
            Err(error) => return Err(End::ClientIo(error)),
        }
        Ok(())
    }

    /// Receives from the host and handles what came.
    ///
    /// # Errors
    /// [`End`] when the connection cannot be continued.
    pub fn host_readable(&mut self) -> Result<(), End> {
        for _ in 0..RECEIVES_PER_TURN {
            match self.host.receive(&mut self.from_host) {
                Ok(0) => {
                    self.host_closed = true;
                    return Ok(());
                }
                Ok(len) => {
                    self.handle_events()?;
                    // Probably nothing is left; if something is, the event loop
                    // says so. Asking would cost a call for every message.
                    if len < FULL_RECEIVE {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_gone(&error) => {
                    self.host_closed = true;
                    return Ok(());
                }
                Err(error) => return Err(End::HostIo(error)),
            }
        }
        Ok(())
    }

    /// Whether something waits for room on the way to the host.
    #[must_use]
    pub fn host_is_full(&self) -> bool {
        self.host_full
    }

    /// The way to the host may have room again.
    pub fn host_writable(&mut self) {
        self.host_full = false;
    }

    /// Handles the requests received and sends what is waiting on both sides;
    /// to be called once in every turn in which something happened.
    ///
    /// # Errors
    /// [`End`] when the connection is over. What could still be said to the
    /// client has been.
    pub fn turn(&mut self) -> Result<Wants, End> {
        let more = match self.handle_requests() {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(%error, "disconnect a client");
                self.relay.fail(&error);
                false
            }
        };
        self.flush_host()?;
        self.flush_client()?;
        if self.relay.is_finished() {
            return Err(End::Failed);
        }
        if self.host_closed {
            return Err(End::Host);
        }
        if self.client_closed && !more && self.relay.to_host.is_empty() {
            return Err(End::Client);
        }
        let paused = self.is_paused();
        Ok(Wants {
            client_read: !more && !paused && !self.client_closed,
            client_write: !self.relay.to_client.is_empty(),
            host_write: self.host_full,
            turn: more && !paused,
        })
    }

    fn is_paused(&self) -> bool {
        let queue = &self.relay.to_host;
        queue.len() > PAUSE_BYTES || queue.fd_count() > PAUSE_FDS
    }

    /// Handles requests until the connection has had its share; returns whether
    /// some are left.
    fn handle_requests(&mut self) -> Result<bool, ClientError> {
        let mut cost = 0;
        while !self.relay.is_finished() {
            let paused = self.is_paused();
            let (bytes, fds) = self.from_client.split();
            let message = Message::parse(bytes).map_err(|error| {
                ClientError::display(display_error::INVALID_METHOD, error.to_string())
            })?;
            let Some(message) = message else { break };
            if paused || cost > COPY_PER_TURN {
                return Ok(true);
            }
            let len = message.wire_len();
            self.relay.request(message, fds)?;
            self.from_client.consume(len);
            cost += self.relay.take_copy_cost();
        }
        if self.from_client.fds.len() > MAX_EARLY_FDS {
            let text = "file descriptors without requests";
            return Err(ClientError::display(display_error::INVALID_METHOD, text));
        }
        Ok(false)
    }

    fn handle_events(&mut self) -> Result<(), End> {
        while !self.relay.is_finished() {
            let (bytes, fds) = self.from_host.split();
            let Some(message) = Message::parse(bytes).map_err(End::Framing)? else {
                break;
            };
            let len = message.wire_len();
            self.relay
                .event(message, fds, HostFd::into_client_fd)
                .map_err(End::Event)?;
            self.from_host.consume(len);
        }
        Ok(())
    }

    fn flush_client(&mut self) -> Result<(), End> {
        let Self { relay, client, .. } = self;
        match flush(&mut relay.to_client, |bytes, fds| {
            sys::send(&*client, bytes, fds)
        }) {
            Ok(_) => {}
            // What the client said before it went still counts; its end of
            // file follows.
            Err(error) if is_gone(&error) => self.relay.to_client = OutQueue::default(),
            Err(error) => return Err(End::ClientIo(error)),
        }
        let queue = &self.relay.to_client;
        if queue.len() > MAX_UNREAD_BYTES || queue.fd_count() > MAX_UNREAD_FDS {
            return Err(End::Unread);
        }
        Ok(())
    }

    fn flush_host(&mut self) -> Result<(), End> {
        if self.host_full || self.host_closed {
            return Ok(());
        }
        let Self { relay, host, .. } = self;
        match flush(&mut relay.to_host, |bytes, fds| host.send(bytes, fds)) {
            Ok(done) => self.host_full = !done,
            // The host's last words, e.g. an error, are still to be read.
            Err(error) if is_gone(&error) => self.relay.to_host = OutQueue::default(),
            Err(error) => return Err(End::HostIo(error)),
        }
        Ok(())
    }
}

/// Whether a peer has closed its end, with or without unread data.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// Sends until nothing is left (`true`) or no more is taken (`false`).
fn flush(
    queue: &mut OutQueue,
    mut send: impl FnMut(&[u8], &[BorrowedFd<'_>]) -> io::Result<usize>,
) -> io::Result<bool> {
    while !queue.is_empty() {
        let mut fds = Vec::new();
        let bytes = queue.chunk(&mut fds);
        let count = fds.len();
        match send(bytes, &fds) {
            Ok(sent) => queue.sent(sent, count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
