//! The control socket: naming sockets at run time, and looking inside.
//!
//! It has a thread of its own and takes no lock that a worker holds while it waits
//! for anybody, so it answers before the guest's driver is ready, and also when that
//! driver hangs: somebody who asks then wants to know why.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{SockFlag, accept4};
use virtio_wl::host::control::{
    Add, Added, ErrorKind, MAX_REQUEST_BYTES, Packet, Removed, Reply, Request, receive_packet,
    send_packet,
};

use crate::core::descriptor::{Descriptor, classify};
use crate::core::names::{NameError, NameTable};
use crate::server::Shared;

mod listing;

/// Connections at once: the accept proxy, and people. Others wait in the backlog.
const MAX_CLIENTS: usize = 16;

/// Requests of one client before the next one's turn.
const REQUESTS_PER_TURN: usize = 16;

/// Serves the control socket until the process ends.
#[derive(Debug)]
pub struct Control {
    listener: OwnedFd,
    clients: Vec<OwnedFd>,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
}

impl Control {
    /// A server on a listening, non-blocking `SOCK_SEQPACKET` socket.
    #[must_use]
    pub fn new(listener: OwnedFd, shared: Arc<Shared>) -> Self {
        Control {
            listener,
            clients: Vec::new(),
            shared,
            buffer: vec![0; MAX_REQUEST_BYTES],
        }
    }

    /// Answers for ever.
    ///
    /// # Errors
    /// The sockets cannot be polled.
    pub fn run(mut self) -> io::Result<()> {
        loop {
            self.turn()?;
        }
    }

    /// Waits for something to happen, and answers it.
    ///
    /// # Errors
    /// The sockets cannot be polled.
    pub fn turn(&mut self) -> io::Result<()> {
        let accept = if self.clients.len() < MAX_CLIENTS {
            PollFlags::POLLIN
        } else {
            PollFlags::empty()
        };
        let mut fds = vec![PollFd::new(self.listener.as_fd(), accept)];
        fds.extend(
            self.clients
                .iter()
                .map(|client| PollFd::new(client.as_fd(), PollFlags::POLLIN)),
        );
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::Error::EINTR) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
        let mut at = 0;
        let (shared, buffer) = (&self.shared, &mut self.buffer);
        self.clients.retain(|client| {
            at += 1;
            !ready[at] || serve(client, shared, buffer)
        });
        if ready[0] {
            self.accept();
        }
        Ok(())
    }

    fn accept(&mut self) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        match accept4(crate::core::number(&self.listener), flags) {
            Ok(fd) => self.clients.push(crate::core::own(fd)),
            Err(nix::Error::EAGAIN | nix::Error::ECONNABORTED | nix::Error::EINTR) => {}
            Err(error) => tracing::warn!(%error, "control client not accepted"),
        }
    }
}

/// Answers what a client has asked. False: it has gone, or does not read.
fn serve(client: &OwnedFd, shared: &Shared, buffer: &mut [u8]) -> bool {
    for _ in 0..REQUESTS_PER_TURN {
        let packet = match receive_packet(client, buffer) {
            Ok(packet) if packet.len == 0 => return false,
            Ok(packet) => packet,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        };
        let reply = answer(packet, buffer, shared);
        let sent = match reply.encode() {
            Ok(bytes) => send_packet(client, &bytes, None),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = sent {
            tracing::warn!(%error, "control client dropped");
            return false;
        }
    }
    true
}

fn answer(packet: Packet, buffer: &[u8], shared: &Shared) -> Reply {
    if packet.truncated {
        return Reply::error(ErrorKind::InvalidRequest, "the request is too long");
    }
    let request = match Request::parse(&buffer[..packet.len.min(buffer.len())]) {
        Ok(request) => request,
        Err(error) => return Reply::error(ErrorKind::InvalidRequest, error.to_string()),
    };
    let mut descriptors = packet.descriptors;
    let descriptor = descriptors.pop();
    let wanted = matches!(&request, Request::Add(add) if add.path.is_none());
    if !descriptors.is_empty() || (descriptor.is_some() && !wanted) {
        let why = "a descriptor comes only with an add that has no path, and only one";
        return Reply::error(ErrorKind::UnexpectedDescriptor, why);
    }
    match request {
        Request::Add(request) => add(&request, descriptor, &shared.names),
        Request::Remove(request) => match shared.names.remove(&request.name) {
            Ok(()) => Reply::Removed(Removed { name: request.name }),
            Err(error) => refused(&error),
        },
        Request::List(list) => Reply::Listing(Box::new(listing::listing(shared, &list))),
        Request::Queues(_) => Reply::Queues(listing::queues(shared)),
    }
}

fn add(request: &Add, descriptor: Option<OwnedFd>, names: &NameTable) -> Reply {
    let added = match &request.path {
        Some(path) if !path.is_absolute() || nix::sys::socket::UnixAddr::new(path).is_err() => {
            let why = "the path of a socket is absolute and has at most 107 bytes";
            return Reply::error(ErrorKind::InvalidPath, why);
        }
        Some(path) => names.add_listening(&request.name, path),
        None => match descriptor.map(classify) {
            None => {
                let why = "give a path, or send a connected socket along";
                return Reply::error(ErrorKind::MissingDescriptor, why);
            }
            Some(Descriptor::Socket(socket)) => names.add_connected(&request.name, socket),
            Some(_) => {
                let why = "the descriptor is not a connected unix stream socket";
                return Reply::error(ErrorKind::NotAStreamSocket, why);
            }
        },
    };
    match added {
        Ok(name) => {
            tracing::debug!(name, "socket added");
            Reply::Added(Added { name })
        }
        Err(error) => refused(&error),
    }
}

fn refused(error: &NameError) -> Reply {
    let kind = match error {
        NameError::Invalid(_) => ErrorKind::InvalidName,
        NameError::InUse(_) => ErrorKind::NameInUse,
        NameError::Unknown(_) => ErrorKind::NotFound,
        NameError::Full(_) => ErrorKind::TooMany,
    };
    Reply::error(kind, error.to_string())
}
