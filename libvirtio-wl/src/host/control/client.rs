//! The asking side.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{UnixAddr, connect};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::packet::{receive_packet, send_packet, seqpacket};
use super::reply::ErrorReply;
use super::request::{Call, Request};
use super::{MAX_REPLY_BYTES, MAX_REQUEST_BYTES};

/// A connection to a device's control socket.
///
/// Nothing but [`Client::call`] blocks: an event loop polls the descriptor, sends with
/// [`Client::send`] and takes answers, which come in the order of the requests, with
/// [`Client::receive`].
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects, without waiting.
    ///
    /// # Errors
    ///
    /// As `connect`; `WouldBlock` when too many others wait to be accepted.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = seqpacket()?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        Ok(Self::from(socket))
    }

    /// Sends a request, with its descriptor if it has one.
    ///
    /// # Errors
    ///
    /// [`ControlError::Io`]: `WouldBlock` when the device does not read, `BrokenPipe`
    /// when it is gone; [`ControlError::TooLong`].
    pub fn send(
        &self,
        request: &Request,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), ControlError> {
        let bytes = request.encode().map_err(ControlError::Malformed)?;
        if bytes.len() > MAX_REQUEST_BYTES {
            return Err(ControlError::TooLong);
        }
        Ok(send_packet(&self.socket, &bytes, descriptor)?)
    }

    /// The next answer, if one is there.
    ///
    /// # Errors
    ///
    /// [`ControlError::Closed`] when the device has hung up; [`ControlError::Io`];
    /// [`ControlError::TooLong`] for an answer beyond [`MAX_REPLY_BYTES`].
    pub fn receive(&mut self) -> Result<Option<Answer>, ControlError> {
        let packet = match receive_packet(&self.socket, &mut self.buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            other => other?,
        };
        if packet.truncated {
            return Err(ControlError::TooLong);
        }
        match self.buffer.get(..packet.len) {
            None | Some([]) => Err(ControlError::Closed),
            Some(bytes) => Ok(Some(Answer(bytes.to_vec()))),
        }
    }

    /// Asks and waits for the answer. Not to be mixed with requests still unanswered.
    ///
    /// # Errors
    ///
    /// [`ControlError::Refused`] with the device's reason; [`ControlError::Timeout`];
    /// and those of [`Client::send`] and [`Client::receive`].
    pub fn call<C: Call>(
        &mut self,
        call: C,
        descriptor: Option<BorrowedFd<'_>>,
        timeout: Duration,
    ) -> Result<C::Answer, ControlError> {
        let deadline = Instant::now().checked_add(timeout);
        self.send(&call.into(), descriptor)?;
        loop {
            if let Some(answer) = self.receive()? {
                return answer.parse();
            }
            self.wait(deadline)?;
        }
    }

    fn wait(&self, deadline: Option<Instant>) -> Result<(), ControlError> {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(ControlError::Timeout);
        }
        // Rounded up: a wait of less than a millisecond must not become a spin.
        let left = left.map(|left| left.saturating_add(Duration::from_millis(1)));
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        match poll(
            &mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)],
            timeout,
        ) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(ControlError::Io(errno.into())),
        }
    }
}

impl From<OwnedFd> for Client {
    /// Takes a connected, non-blocking `SOCK_SEQPACKET` socket.
    fn from(socket: OwnedFd) -> Self {
        Self {
            socket,
            buffer: vec![0; MAX_REPLY_BYTES],
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// One answer, not yet read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer(Vec<u8>);

impl From<Vec<u8>> for Answer {
    /// For tests and for other transports.
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Answer {
    /// The answer as the device wrote it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads it as the answer to the request it belongs to.
    ///
    /// # Errors
    ///
    /// [`ControlError::Refused`] with the device's reason, [`ControlError::Malformed`].
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ControlError> {
        #[derive(Deserialize)]
        struct Refusal {
            error: ErrorReply,
        }

        if let Ok(refusal) = serde_json::from_slice::<Refusal>(&self.0) {
            return Err(ControlError::Refused(refusal.error));
        }
        serde_json::from_slice(&self.0).map_err(ControlError::Malformed)
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The device says no.
    #[error("the device refused")]
    Refused(#[source] ErrorReply),
    /// No answer in time.
    #[error("the device did not answer in time")]
    Timeout,
    /// The device has closed the connection.
    #[error("the device closed its control socket")]
    Closed,
    /// An answer to no request, or one that makes no sense.
    #[error("the device does not keep to the protocol")]
    Unexpected,
    /// Request or answer exceed their limit.
    #[error("control message too long")]
    TooLong,
    /// The answer is not what this request is answered with.
    #[error("malformed control message")]
    Malformed(#[source] serde_json::Error),
    /// The socket failed.
    #[error("control socket failed")]
    Io(#[from] io::Error),
}
