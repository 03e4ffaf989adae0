//! Calls on bare descriptors, for layers that give them away, such as a C library.
//!
//! A [`Channel`] owns its descriptor, and what else is to be known of its stream. A caller in C has
//! a number and nothing else: it duplicates and closes it without saying so. So such a layer keeps
//! the [`StreamState`] and [`ListenerState`] of the descriptors that it hands out, and no descriptor;
//! which number stands for which state is its own business. What is said at [`Channel::send`],
//! [`Channel::recv`] and [`Listener::accept`](crate::Listener::accept) holds here.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{BorrowedFd, OwnedFd},
    sync::Arc,
};

use crate::{
    channel::{Channel, MsgFlags},
    device::Device,
    driver::kernel,
    listener::Peer,
    vfd::Vfd,
    wire::VfdKind,
};
pub use crate::{listener::ListenerState, stream::StreamState};

/// Whether a descriptor is a VFD of the guest kernel's driver. Needs no open device, only `/proc`, so
/// it also tells of what a process has inherited.
///
/// # Errors
///
/// `EBADF`, or that of reading `/proc`.
pub fn is_kernel_vfd(fd: BorrowedFd<'_>) -> io::Result<bool> {
    kernel::is_vfd(fd)
}

impl Channel {
    /// As [`into_pipe`](Self::into_pipe), for a pipe that was received over the stream of `state`:
    /// counted as one that was sent over it is.
    ///
    /// # Errors
    ///
    /// As there; `EMFILE` also when [`MAX_PUMPED_PER_CHANNEL`] of the stream are carried already.
    ///
    /// [`MAX_PUMPED_PER_CHANNEL`]: crate::limits::MAX_PUMPED_PER_CHANNEL
    pub fn into_pipe_of(self, state: &StreamState) -> io::Result<OwnedFd> {
        let count = Arc::clone(state.pumped());
        state.check_pumped()?;
        self.carry(count)
    }
}

/// Has every thread that this library starts from now on call `hook` first.
///
/// For a layer that stands between the program and its C library: what these threads call, they may
/// call while they hold what the layer would want to look at. Only the first hook counts.
pub fn at_thread_start(hook: fn()) {
    crate::dispatcher::at_thread_start(hook);
}

/// Starts a detached thread as those of this library are: it receives no signals, which are the
/// program's, and calls the hook of [`at_thread_start`] first.
///
/// # Errors
///
/// That of pthread_create(3).
pub fn spawn_quiet(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    crate::dispatcher::spawn_quiet(name, body)
}

impl Device {
    /// As [`Channel::send`], on a VFD of this device whose kind the caller knows (see
    /// [`identify`](Self::identify)).
    ///
    /// # Errors
    ///
    /// As there; `ENOTTY` when it is no VFD of this device.
    pub fn send_on(
        &self,
        (vfd, kind): (BorrowedFd<'_>, VfdKind),
        state: &StreamState,
        bufs: &[IoSlice<'_>],
        fds: &[BorrowedFd<'_>],
        flags: MsgFlags,
    ) -> io::Result<usize> {
        self.inner().send(vfd, kind, state, bufs, fds, flags)
    }

    /// As [`Channel::recv`].
    ///
    /// # Errors
    ///
    /// As there; `ENOTTY` when it is no VFD of this device.
    pub fn recv_on(
        &self,
        vfd: BorrowedFd<'_>,
        state: &StreamState,
        bufs: &mut [IoSliceMut<'_>],
        fds: &mut Vec<Vfd>,
        flags: MsgFlags,
    ) -> io::Result<usize> {
        self.inner().recv(vfd, state, bufs, fds, flags)
    }

    /// As [`Listener::accept`](crate::Listener::accept).
    ///
    /// # Errors
    ///
    /// As there; `ENOTTY` when it is no VFD of this device.
    pub fn accept_on(
        &self,
        vfd: BorrowedFd<'_>,
        stream: &StreamState,
        listener: &ListenerState,
    ) -> io::Result<(Channel, Peer)> {
        listener.accept(self.inner(), |room| {
            let mut unwanted = Vec::new();
            self.recv_on(vfd, stream, &mut [room], &mut unwanted, MsgFlags::DONTWAIT)
        })
    }

    /// Waits until something can be received on a VFD or it has hung up.
    ///
    /// # Errors
    ///
    /// The errno of poll(2).
    pub fn wait_readable(&self, vfd: BorrowedFd<'_>) -> io::Result<()> {
        crate::wait::wait_readable(&*self.inner().driver, vfd, None)
    }
}
