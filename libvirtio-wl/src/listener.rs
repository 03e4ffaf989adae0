//! Connections announced by the host.

use std::{
    io::{self, IoSliceMut},
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex},
};

use crate::{
    accept_record::{AcceptRecord, RECORD_BYTES},
    channel::{Channel, MsgFlags},
    device::{Inner, lock},
    label::{Colour, VmId, VmName},
    wire::ContextName,
};

#[cfg(test)]
mod tests;

/// Who a connection comes from, in the words of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The VM. Ids are not used again while this VM lives.
    pub vm_id: VmId,
    /// Its name.
    pub vm_name: VmName,
    /// The colour of its label.
    pub colour: Colour,
}

/// A context on which the host announces connections, as a listening socket does.
///
/// Readable while a connection waits: one [`accept`](Self::accept) takes one.
#[derive(Debug)]
pub struct Listener {
    channel: Channel,
    state: ListenerState,
}

/// What is kept of a listener beside its descriptor; see [`crate::bare`].
#[derive(Debug, Default)]
pub struct ListenerState {
    next: Mutex<Next>,
}

/// What has been read of announcements not yet accepted.
#[derive(Debug)]
struct Next {
    /// The front of a record.
    partial: [u8; RECORD_BYTES],
    /// Bytes of it.
    filled: usize,
    /// A whole record whose connection could not be opened for want of something of ours.
    retry: Option<AcceptRecord>,
}

impl Listener {
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            channel,
            state: ListenerState::default(),
        }
    }

    /// Takes the next connection. Never waits.
    ///
    /// Announcements whose client has gone already are passed over, malformed ones too (with a
    /// warning: the host is at fault).
    ///
    /// # Errors
    ///
    /// * `EAGAIN`: no connection waits.
    /// * `ENOTCONN`: the host has closed the listener. It stays readable; stop polling it.
    /// * `EMFILE`, `ENOMEM`, `ENOSPC` ...: the connection cannot be opened now. It is tried again by
    ///   the next call, but does not make the listener readable again.
    pub fn accept(&self) -> io::Result<(Channel, Peer)> {
        let channel = &self.channel;
        self.state.accept(channel.device(), |room| {
            // No descriptors come here.
            let mut unwanted = Vec::new();
            channel.recv(&mut [room], &mut unwanted, MsgFlags::DONTWAIT)
        })
    }
}

impl ListenerState {
    /// See [`Listener::accept`]; `recv` receives on the listener's channel without waiting.
    pub(crate) fn accept(
        &self,
        device: &Arc<Inner>,
        mut recv: impl FnMut(IoSliceMut<'_>) -> io::Result<usize>,
    ) -> io::Result<(Channel, Peer)> {
        let mut next = lock(&self.next);
        loop {
            let record = match next.retry.take() {
                Some(record) => record,
                None => match next.read(&mut recv)? {
                    Some(record) => record,
                    None => continue,
                },
            };
            match open(device, &record) {
                Ok(channel) => {
                    let peer = Peer {
                        vm_id: record.vm_id,
                        vm_name: record.vm_name,
                        colour: record.colour,
                    };
                    return Ok((channel, peer));
                }
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {
                    tracing::debug!(connection = %record.connection, "connection is gone already");
                }
                Err(error) => {
                    next.retry = Some(record);
                    return Err(error);
                }
            }
        }
    }
}

fn open(device: &Arc<Inner>, record: &AcceptRecord) -> io::Result<Channel> {
    let name = ContextName::new(record.connection.as_str())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    device.connect(&name)
}

impl Default for Next {
    fn default() -> Self {
        Self {
            partial: [0; RECORD_BYTES],
            filled: 0,
            retry: None,
        }
    }
}

impl Next {
    /// Reads on; `None` after a record that is none.
    fn read(
        &mut self,
        recv: &mut impl FnMut(IoSliceMut<'_>) -> io::Result<usize>,
    ) -> io::Result<Option<AcceptRecord>> {
        while self.filled < RECORD_BYTES {
            // Nothing but the rest of this record, so that the ones behind it stay readable.
            match recv(IoSliceMut::new(&mut self.partial[self.filled..]))? {
                0 => return Err(io::Error::from_raw_os_error(libc::ENOTCONN)),
                count => self.filled += count,
            }
        }
        self.filled = 0;
        match AcceptRecord::parse(&self.partial) {
            Ok(record) => Ok(Some(record)),
            Err(error) => {
                tracing::warn!("the host sent a malformed accept record: {error}");
                Ok(None)
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}
