//! A connection or pipe on the host side of a VFD.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::stat::Mode;

use super::outqueue::OutQueue;
use super::sys;

#[cfg(test)]
mod tests;

/// Which calls make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// Both directions, with descriptors.
    Socket,
    /// A pipe end.
    Pipe {
        /// The guest can receive.
        read: bool,
        /// The guest can send.
        write: bool,
    },
}

/// What there was to read.
#[derive(Debug)]
pub enum Input {
    /// Bytes at the start of the buffer, and the descriptors that came with them.
    Data(usize, Vec<OwnedFd>),
    /// Nothing now.
    Empty,
    /// Nothing ever again: end of stream, or a terminal error.
    End,
}

/// The far end of a pipe made for the guest.
#[derive(Debug)]
enum Remote {
    /// The stream was not made by us: what is passed on is the stream itself.
    None,
    /// Still here.
    Held(OwnedFd),
    /// Passed to a peer.
    Passed,
}

/// A byte stream to a host peer that never blocks.
#[derive(Debug)]
pub struct Stream {
    /// What the guest means when it passes this VFD on.
    fd: Arc<OwnedFd>,
    /// An open file description of our own for reading and writing, when `fd`'s
    /// may be shared with a peer that expects it to block.
    own: Option<OwnedFd>,
    kind: StreamKind,
    remote: Remote,
    queue: OutQueue,
    /// Writing has failed for good.
    broken: bool,
    /// Bytes were read here.
    consumed: bool,
    /// Was passed on: someone else reads it now.
    forwarded: bool,
    /// Came from a peer, rather than being opened for the guest.
    received: bool,
}

impl Stream {
    /// A connected socket that was opened for the guest.
    #[must_use]
    pub fn connected(socket: OwnedFd, queue: OutQueue) -> Self {
        Stream {
            fd: Arc::new(socket),
            own: None,
            kind: StreamKind::Socket,
            remote: Remote::None,
            queue,
            broken: false,
            consumed: false,
            forwarded: false,
            received: false,
        }
    }

    /// A new pipe whose one end the guest uses and whose other end it passes on.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn pipe(guest_reads: bool, queue: OutQueue) -> io::Result<Self> {
        // Only our end may be non-blocking: the other belongs to a program that
        // expects an ordinary pipe.
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let (local, remote) = if guest_reads {
            (reader, writer)
        } else {
            (writer, reader)
        };
        set_nonblocking(&local)?;
        let mut stream = Stream::connected(local, queue);
        stream.kind = StreamKind::Pipe {
            read: guest_reads,
            write: !guest_reads,
        };
        stream.remote = Remote::Held(remote);
        Ok(stream)
    }

    /// A socket from a peer.
    #[must_use]
    pub fn received_socket(fd: OwnedFd, queue: OutQueue) -> Self {
        let mut stream = Stream::connected(fd, queue);
        stream.received = true;
        stream
    }

    /// A pipe end from a peer.
    ///
    /// # Errors
    /// It cannot be used without risking to block.
    pub fn received_pipe(
        fd: OwnedFd,
        read: bool,
        write: bool,
        queue: OutQueue,
    ) -> io::Result<Self> {
        let own = reopen_nonblocking(&fd, read, write)?;
        let mut stream = Stream::received_socket(fd, queue);
        stream.kind = StreamKind::Pipe { read, write };
        stream.own = own;
        Ok(stream)
    }

    /// Which calls make sense.
    #[must_use]
    pub fn kind(&self) -> StreamKind {
        self.kind
    }

    /// Whether the guest can receive from it.
    #[must_use]
    pub fn readable(&self) -> bool {
        !self.forwarded && !matches!(self.kind, StreamKind::Pipe { read: false, .. })
    }

    /// Whether the guest can send to it.
    #[must_use]
    pub fn writable(&self) -> bool {
        !self.broken && !matches!(self.kind, StreamKind::Pipe { write: false, .. })
    }

    /// Came from a peer: not read before the guest had a chance to pass it on.
    #[must_use]
    pub fn received(&self) -> bool {
        self.received
    }

    /// Bytes and descriptors the peer has not taken.
    #[must_use]
    pub fn queued(&self) -> (usize, usize) {
        (self.queue.bytes(), self.queue.fds())
    }

    /// Whether the peer has not taken everything.
    #[must_use]
    pub fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// What to poll.
    #[must_use]
    pub fn poll_fd(&self) -> BorrowedFd<'_> {
        self.own.as_ref().map_or(self.fd.as_fd(), AsFd::as_fd)
    }

    /// Whether [`Stream::forward`] would succeed.
    #[must_use]
    pub fn can_forward(&self) -> bool {
        match self.remote {
            Remote::Held(_) => true,
            Remote::Passed => false,
            // What was read here is lost for whoever gets it next; better to
            // refuse than to cut a hole into a stream.
            Remote::None => !(self.received && self.consumed && self.readable()),
        }
    }

    /// The descriptor to send when the guest passes this stream on: the far end
    /// of a pipe made for it (once), else the stream itself, which is no longer
    /// read here then.
    pub fn forward(&mut self) -> Option<Arc<OwnedFd>> {
        if !self.can_forward() {
            return None;
        }
        match std::mem::replace(&mut self.remote, Remote::Passed) {
            Remote::Held(fd) => Some(Arc::new(fd)),
            Remote::Passed | Remote::None => {
                self.remote = Remote::None;
                self.forwarded = true;
                Some(Arc::clone(&self.fd))
            }
        }
    }

    /// Reads once.
    pub fn read(&mut self, buf: &mut [u8]) -> Input {
        loop {
            let result = match self.kind {
                StreamKind::Socket => sys::recv(self.fd.as_fd(), buf),
                StreamKind::Pipe { .. } => nix::unistd::read(self.poll_fd(), buf)
                    .map(|len| sys::Received {
                        len,
                        ..sys::Received::default()
                    })
                    .map_err(io::Error::from),
            };
            return match result {
                Ok(received) if received.truncated => {
                    tracing::warn!("descriptors of a message were lost: hanging up");
                    Input::End
                }
                Ok(received) if received.len == 0 => Input::End,
                Ok(received) => {
                    self.consumed = true;
                    Input::Data(received.len, received.fds)
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => Input::Empty,
                Err(_) => Input::End,
            };
        }
    }

    /// Sends, queueing what the peer does not take at once.
    ///
    /// # Errors
    /// The peer is gone (the stream is broken from then on), or does not read
    /// (kind `QuotaExceeded`).
    pub fn send(&mut self, bytes: &[u8], fds: Vec<Arc<OwnedFd>>) -> io::Result<()> {
        let (kind, fd) = (self.kind, Arc::clone(&self.fd));
        let own = self.own.as_ref();
        let result = self.queue.send(bytes, fds, |bytes, fds| {
            write_once(kind, own.map_or(fd.as_fd(), AsFd::as_fd), bytes, fds)
        });
        self.broken |= result.is_err();
        result
    }

    /// Sends what is queued, as far as the peer takes it. False: it never will.
    pub fn flush(&mut self) -> bool {
        let (kind, fd) = (self.kind, Arc::clone(&self.fd));
        let own = self.own.as_ref();
        let result = self
            .queue
            .flush(|bytes, fds| write_once(kind, own.map_or(fd.as_fd(), AsFd::as_fd), bytes, fds));
        if result.is_err() {
            self.broken = true;
            self.queue.clear();
        }
        result.is_ok()
    }

    /// Nothing will be sent any more; the peer learns it when it is a socket.
    pub fn shut_down(&mut self) {
        self.broken = true;
        self.queue.clear();
        if self.kind == StreamKind::Socket {
            let _ = nix::sys::socket::shutdown(
                sys::number(&*self.fd),
                nix::sys::socket::Shutdown::Both,
            );
        }
    }
}

fn write_once(
    kind: StreamKind,
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    match kind {
        StreamKind::Socket => sys::send(fd, bytes, fds),
        StreamKind::Pipe { .. } => Ok(nix::unistd::write(fd, bytes)?),
    }
}

/// Connects without ever waiting: a listener whose backlog is full refuses.
///
/// # Errors
/// Nobody listens, or the backlog is full (`WouldBlock`).
pub fn connect_now(path: &Path) -> io::Result<OwnedFd> {
    let fd = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    connect(sys::number(&fd), &UnixAddr::new(path)?)?;
    Ok(fd)
}

fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
    fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// A non-blocking open file description of the same pipe.
///
/// `O_NONBLOCK` on the received one would reach its sender, which may be a shell
/// that passed its standard output. Where reopening is not allowed (another
/// user's pipe) the flag is set all the same: blocking is the worse evil.
fn reopen_nonblocking(fd: &OwnedFd, read: bool, write: bool) -> io::Result<Option<OwnedFd>> {
    let access = match (read, write) {
        (true, true) => OFlag::O_RDWR,
        (false, true) => OFlag::O_WRONLY,
        _ => OFlag::O_RDONLY,
    };
    let path = format!("/proc/self/fd/{}", sys::number(fd));
    let flags = access | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    match open(path.as_str(), flags, Mode::empty()) {
        Ok(own) => Ok(Some(own)),
        // A write end whose readers have all gone already.
        Err(nix::Error::ENXIO) => Err(io::ErrorKind::BrokenPipe.into()),
        Err(_) => set_nonblocking(fd).map(|()| None),
    }
}
