//! The seam between this library and whatever moves its messages.
//!
//! Above: [`Device`](crate::Device) and what it hands out, which know no driver. Below: one module
//! per driver, which knows nothing of connections, memory servers or conversions.
//!
//! | module | this process is | VFDs are |
//! |---|---|---|
//! | `kernel` | a program in a VM | files of the kernel driver |
//! | [`user`] | the guest itself, over vhost-user | memfds, and pipe read ends holding a token byte |

use std::{
    fmt,
    io::{self, IoSlice, IoSliceMut},
    os::fd::{BorrowedFd, OwnedFd},
};

use crate::wire::{ContextName, PipeDirection, VfdKind};

#[cfg(feature = "user-driver")]
pub(crate) mod user;

pub(crate) mod kernel;

#[cfg(test)]
pub(crate) mod test;

/// A VFD that a driver made or received.
#[derive(Debug)]
pub(crate) struct NewVfd {
    /// Close-on-exec. The VFD closes when the last duplicate does.
    pub(crate) fd: OwnedFd,
    /// What it is.
    pub(crate) kind: VfdKind,
}

/// What a driver has done since it was opened; see [`Device::stats`](crate::Device::stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverStats {
    /// Notifications to the device: system calls of ours, wake-ups of the device's.
    pub kicks: u64,
    /// Interrupts from the device that were noticed; several may be noticed as one.
    pub interrupts: u64,
    /// Times a thread went to sleep inside a call of the driver.
    pub sleeps: u64,
    /// Requests put on the `out` queue.
    pub requests: u64,
    /// Messages taken from the `in` queue.
    pub messages: u64,
}

/// Moves messages between this process and the device.
///
/// A VFD is known by the identity of its open file, so any duplicate of an fd that was handed out
/// serves. Errors are errno values:
///
/// * [`new_context`](Self::new_context) and its siblings: as the reply says, by
///   [`Response::errno`](crate::wire::Response::errno).
/// * `EPIPE`: the peer is gone, or the device is.
/// * `EAGAIN`: would have to wait, and `nonblock` was set.
/// * `ENOTTY`: the fd is no VFD of this driver.
pub(crate) trait Driver: Send + Sync + fmt::Debug {
    /// Connects to a context.
    fn new_context(&self, name: &ContextName) -> io::Result<NewVfd>;

    /// Creates shared memory; `size` is in bytes, a multiple of the page size and not 0.
    fn new_memory(&self, size: u32) -> io::Result<NewVfd>;

    /// Creates a pipe.
    fn new_pipe(&self, direction: PipeDirection) -> io::Result<NewVfd>;

    /// Sends one message: all of `vfds` and a prefix of the data, or nothing.
    ///
    /// Returns the number of bytes taken, which may be short of what `bufs` hold. `vfds` are at most
    /// 28 VFDs of this driver, and none when there is no data: the caller sees to both.
    fn send(
        &self,
        vfd: BorrowedFd<'_>,
        bufs: &[IoSlice<'_>],
        vfds: &[BorrowedFd<'_>],
        nonblock: bool,
    ) -> io::Result<usize>;

    /// Takes what has arrived: bytes into `bufs`, VFDs at the end of `out`.
    ///
    /// Returns 0 without a VFD only at the end of the stream; 0 *with* VFDs means that their bytes
    /// are still to come. VFDs never arrive after the bytes they came with. `bufs` hold at least one
    /// byte: the caller sees to it.
    fn recv(
        &self,
        vfd: BorrowedFd<'_>,
        bufs: &mut [IoSliceMut<'_>],
        out: &mut Vec<NewVfd>,
        nonblock: bool,
    ) -> io::Result<usize>;

    /// What a file descriptor is; `None` when it is no VFD of this driver.
    fn identify(&self, fd: BorrowedFd<'_>) -> io::Result<Option<VfdKind>>;

    /// Whether a file descriptor is a VFD of this driver, where its kind takes longer to find out.
    fn is_vfd(&self, fd: BorrowedFd<'_>) -> io::Result<bool> {
        Ok(self.identify(fd)?.is_some())
    }

    /// Asks how large the memory of a VFD is now; its size in bytes. From then on the VFD can be mapped
    /// that far, and what was mapped stays.
    ///
    /// `EOPNOTSUPP` when device or driver cannot tell, `EINVAL` when it is no memory, `ENOMEM` when
    /// there is no room for more of it.
    fn refresh(&self, vfd: BorrowedFd<'_>) -> io::Result<u64>;

    /// Counters; `None` when the driver keeps them to itself.
    fn stats(&self) -> Option<DriverStats> {
        None
    }

    /// Closes an fd of a VFD and, unless duplicates of it keep it open, the VFD.
    ///
    /// The same as dropping the fd, but prompt with every driver: the embedded one notices a dropped
    /// fd only when somebody dispatches.
    fn close(&self, fd: OwnedFd) {
        drop(fd);
    }

    /// What to poll (level-triggered, readable) before calling [`dispatch`](Self::dispatch); `None`
    /// when VFDs become readable by themselves.
    fn event_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Moves what the device has sent to the VFDs it is for. Never blocks, and may be called by any
    /// thread at any time, also by several at once. An error means that the device is gone; all VFDs
    /// have hung up then.
    fn dispatch(&self) -> io::Result<()>;
}
