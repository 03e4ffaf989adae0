//! A session and its socket.

use std::cell::Cell;
use std::io::{self, IoSlice, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use calloop::{Interest, RegistrationToken};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::session::{Reply, Session};

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Rc<UnixStream>,
    pub(super) session: Session,
    /// Shared with the event source.
    pub(super) interest: Rc<Cell<Interest>>,
    pub(super) source: RegistrationToken,
    /// The whole request it holds has had its turn at the rate.
    pub(super) granted: bool,
}

/// What reading or writing came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Io {
    /// This many bytes.
    Done(usize),
    /// Later.
    Blocked,
    /// The peer has gone.
    Ended,
}

impl Io {
    fn from_result(result: io::Result<usize>) -> Self {
        match result {
            Ok(0) => Self::Ended,
            Ok(count) => Self::Done(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Self::Blocked,
            Err(error) => {
                tracing::debug!(%error, "connection failed");
                Self::Ended
            }
        }
    }
}

/// Reads what is there. Descriptors that a peer sends along are closed by the kernel.
pub(super) fn read(mut stream: &UnixStream, buffer: &mut [u8]) -> Io {
    Io::from_result(stream.read(buffer))
}

pub(super) fn send(stream: &UnixStream, reply: &Reply) -> Io {
    let status = [reply.status.0];
    let raw = reply.memory.as_ref().map(|file| [file.as_raw_fd()]);
    let rights = raw.as_ref().map(|fds| ControlMessage::ScmRights(fds));
    let sent = sendmsg::<()>(
        stream.as_raw_fd(),
        &[IoSlice::new(&status)],
        rights.as_slice(),
        MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL,
        None,
    );
    Io::from_result(sent.map_err(io::Error::from))
}
