//! The receiving half of a channel, without the device: bytes and VFDs in order.

use std::{
    io::{self, IoSliceMut},
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex},
    time::Instant,
};

use crate::{
    device::lock,
    driver::{Driver, NewVfd},
    handle::OwnedVfd,
    limits::{MAX_PARKED_VFDS, MAX_PUMPED_PER_CHANNEL},
    wait::wait_readable,
    wire::VfdKind,
};

/// What is kept of a stream beside its descriptor: what has arrived ahead of time, and what flows
/// because of it.
///
/// Needed only by those who keep descriptors and no [`Channel`](crate::Channel), see [`crate::bare`].
/// One stream has one of it, however many duplicates of its descriptor there are.
#[derive(Debug, Default)]
pub struct StreamState {
    /// VFDs whose bytes have not arrived. A result of 0 bytes means the end of the stream to every
    /// caller, so they cannot be returned alone.
    parked: Mutex<Vec<OwnedVfd>>,
    /// Held by each pipe that was sent over this stream and is carried still, to count them.
    pumped: Arc<()>,
}

impl StreamState {
    /// To be held by what carries a pipe sent over this stream.
    pub(crate) fn pumped(&self) -> &Arc<()> {
        &self.pumped
    }

    /// Fails with `EMFILE` when more pipes are carried because of this stream than one may have.
    pub(crate) fn check_pumped(&self) -> io::Result<()> {
        // One clone is our own.
        if Arc::strong_count(&self.pumped) > MAX_PUMPED_PER_CHANNEL + 1 {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        Ok(())
    }

    /// Receives at least a byte, waiting until `deadline`; 0 at the end of the stream.
    pub(crate) fn recv(
        &self,
        driver: &Arc<dyn Driver>,
        fd: BorrowedFd<'_>,
        bufs: &mut [IoSliceMut<'_>],
        out: &mut Vec<OwnedVfd>,
        deadline: Option<Instant>,
    ) -> io::Result<usize> {
        loop {
            match self.try_recv(driver, fd, bufs, out) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_readable(&**driver, fd, deadline)?;
                }
                result => return result,
            }
        }
    }

    /// As [`recv`](Self::recv), failing with `EAGAIN` instead of waiting.
    pub(crate) fn try_recv(
        &self,
        driver: &Arc<dyn Driver>,
        fd: BorrowedFd<'_>,
        bufs: &mut [IoSliceMut<'_>],
        out: &mut Vec<OwnedVfd>,
    ) -> io::Result<usize> {
        // Held over the driver's call too: VFDs of two callers must not overtake each other.
        let mut parked = lock(&self.parked);
        let mut arrived = Vec::new();
        loop {
            let result = driver.recv(fd, bufs, &mut arrived, true);
            let ended = arrived.is_empty();
            parked.extend(arrived.drain(..).map(|vfd| OwnedVfd::new(driver, vfd)));
            match result? {
                0 if ended => {
                    // The bytes of parked VFDs will never come.
                    parked.clear();
                    return Ok(0);
                }
                0 if parked.len() > MAX_PARKED_VFDS => {
                    parked.clear();
                    return Err(io::Error::from_raw_os_error(libc::EPROTO));
                }
                0 => {}
                count => {
                    out.append(&mut parked);
                    return Ok(count);
                }
            }
        }
    }
}

/// A stream VFD and its state.
#[derive(Debug)]
pub(crate) struct Stream {
    vfd: OwnedVfd,
    state: StreamState,
}

impl Stream {
    pub(crate) fn new(driver: &Arc<dyn Driver>, vfd: NewVfd) -> Self {
        Self::from(OwnedVfd::new(driver, vfd))
    }

    pub(crate) fn kind(&self) -> VfdKind {
        self.vfd.kind()
    }

    pub(crate) fn driver(&self) -> &dyn Driver {
        &**self.vfd.driver()
    }

    pub(crate) fn state(&self) -> &StreamState {
        &self.state
    }

    /// The VFD; parked ones are closed.
    pub(crate) fn into_vfd(self) -> OwnedVfd {
        self.vfd
    }

    /// See [`StreamState::recv`].
    pub(crate) fn recv(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        out: &mut Vec<OwnedVfd>,
        deadline: Option<Instant>,
    ) -> io::Result<usize> {
        let driver = self.vfd.driver();
        self.state.recv(driver, self.as_fd(), bufs, out, deadline)
    }
}

impl From<OwnedVfd> for Stream {
    fn from(vfd: OwnedVfd) -> Self {
        Self {
            vfd,
            state: StreamState::default(),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.vfd.as_fd()
    }
}
