//! Connections announced by the host.

use std::{
    io::{self, IoSliceMut},
    os::fd::{AsFd, BorrowedFd},
    sync::Mutex,
};

use crate::{
    accept_record::{AcceptRecord, RECORD_BYTES},
    channel::{Channel, MsgFlags},
    device::lock,
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
            next: Mutex::new(Next {
                partial: [0; RECORD_BYTES],
                filled: 0,
                retry: None,
            }),
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
        let mut next = lock(&self.next);
        loop {
            let record = match next.retry.take() {
                Some(record) => record,
                None => match next.read(&self.channel)? {
                    Some(record) => record,
                    None => continue,
                },
            };
            match self.open(&record) {
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

    fn open(&self, record: &AcceptRecord) -> io::Result<Channel> {
        let name = ContextName::new(record.connection.as_str())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.channel.device().connect(&name)
    }
}

impl Next {
    /// Reads on; `None` after a record that is none.
    fn read(&mut self, channel: &Channel) -> io::Result<Option<AcceptRecord>> {
        while self.filled < RECORD_BYTES {
            // Nothing but the rest of this record, so that the ones behind it stay readable.
            let mut bufs = [IoSliceMut::new(&mut self.partial[self.filled..])];
            let mut unwanted = Vec::new();
            match channel.recv(&mut bufs, &mut unwanted, MsgFlags::DONTWAIT)? {
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
