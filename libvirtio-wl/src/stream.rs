//! The receiving half of a channel, without the device: bytes and VFDs in order.

use std::{
    io::{self, IoSliceMut},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex},
    time::Instant,
};

use crate::{
    device::lock,
    driver::{Driver, NewVfd},
    limits::MAX_PARKED_VFDS,
    wait::wait_readable,
    wire::VfdKind,
};

/// A stream VFD and what has arrived on it ahead of time.
#[derive(Debug)]
pub(crate) struct Stream {
    fd: OwnedFd,
    kind: VfdKind,
    /// VFDs whose bytes have not arrived. A result of 0 bytes means the end of the stream to every
    /// caller, so they cannot be returned alone.
    parked: Mutex<Vec<NewVfd>>,
    /// Held by each pipe that was sent over this stream and is carried still, to count them.
    pumped: Arc<()>,
}

impl Stream {
    pub(crate) fn new(vfd: NewVfd) -> Self {
        Self {
            fd: vfd.fd,
            kind: vfd.kind,
            parked: Mutex::new(Vec::new()),
            pumped: Arc::new(()),
        }
    }

    pub(crate) fn kind(&self) -> VfdKind {
        self.kind
    }

    /// To be held by what carries a pipe sent over this stream.
    pub(crate) fn pumped(&self) -> &Arc<()> {
        &self.pumped
    }

    /// The bare VFD; parked VFDs are closed.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Receives at least a byte, waiting until `deadline`; 0 at the end of the stream.
    pub(crate) fn recv(
        &self,
        driver: &dyn Driver,
        bufs: &mut [IoSliceMut<'_>],
        out: &mut Vec<NewVfd>,
        deadline: Option<Instant>,
    ) -> io::Result<usize> {
        loop {
            match self.try_recv(driver, bufs, out) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_readable(driver, self.as_fd(), deadline)?;
                }
                result => return result,
            }
        }
    }

    /// As [`recv`](Self::recv), failing with `EAGAIN` instead of waiting.
    pub(crate) fn try_recv(
        &self,
        driver: &dyn Driver,
        bufs: &mut [IoSliceMut<'_>],
        out: &mut Vec<NewVfd>,
    ) -> io::Result<usize> {
        // Held over the driver's call too: VFDs of two callers must not overtake each other.
        let mut parked = lock(&self.parked);
        loop {
            let before = parked.len();
            let count = driver.recv(self.as_fd(), bufs, &mut parked, true)?;
            if count > 0 {
                out.append(&mut parked);
                return Ok(count);
            }
            if parked.len() == before {
                // The bytes of parked VFDs will never come.
                parked.clear();
                return Ok(0);
            }
            if parked.len() > MAX_PARKED_VFDS {
                parked.clear();
                return Err(io::Error::from_raw_os_error(libc::EPROTO));
            }
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
