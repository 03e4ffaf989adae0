//! The embedded driver: this process is the guest, over vhost-user.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::BorrowedFd,
    path::Path,
};

use super::{Driver, NewVfd};
use crate::{
    error::{Error, Result},
    wire::{ContextName, PipeDirection, VfdKind},
};

/// A connection to a device as its guest.
#[derive(Debug)]
pub(crate) enum UserDriver {}

impl UserDriver {
    /// Connects to the vhost-user socket of a device.
    pub(crate) fn connect(_path: &Path) -> Result<Self> {
        Err(Error::Unsupported("the embedded driver"))
    }
}

impl Driver for UserDriver {
    fn new_context(&self, _name: &ContextName) -> io::Result<NewVfd> {
        match *self {}
    }

    fn new_memory(&self, _size: u32) -> io::Result<NewVfd> {
        match *self {}
    }

    fn new_pipe(&self, _direction: PipeDirection) -> io::Result<NewVfd> {
        match *self {}
    }

    fn send(
        &self,
        _vfd: BorrowedFd<'_>,
        _bufs: &[IoSlice<'_>],
        _vfds: &[BorrowedFd<'_>],
        _nonblock: bool,
    ) -> io::Result<usize> {
        match *self {}
    }

    fn recv(
        &self,
        _vfd: BorrowedFd<'_>,
        _bufs: &mut [IoSliceMut<'_>],
        _out: &mut Vec<NewVfd>,
        _nonblock: bool,
    ) -> io::Result<usize> {
        match *self {}
    }

    fn identify(&self, _fd: BorrowedFd<'_>) -> io::Result<Option<VfdKind>> {
        match *self {}
    }

    fn event_fd(&self) -> Option<BorrowedFd<'_>> {
        match *self {}
    }

    fn dispatch(&self) -> io::Result<()> {
        match *self {}
    }
}
