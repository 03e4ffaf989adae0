//! What a connection to a client must be able to do.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Most descriptors one message of a transport carries: libwayland's own limit
/// (`MAX_FDS_OUT` in its `connection.c`), and virtio_wl's.
pub const MAX_FDS: usize = 28;

/// A connection to a client. Never blocks. Its descriptor is polled: readable when `recv` has
/// something, or the end.
pub trait Transport: AsFd + std::fmt::Debug {
    /// Reads bytes, and appends at most [`MAX_FDS`] descriptors that came with
    /// them, close-on-exec. 0 is the end. `WouldBlock` when there is nothing.
    fn recv(&mut self, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize>;

    /// Writes bytes and descriptors. A short count is fine; the descriptors go
    /// with the first byte or, on an error, not at all.
    fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize>;

    /// True if polling for writability tells when `send` may go on. If not,
    /// `send` is tried again after a pause.
    fn polls_writable(&self) -> bool;
}
