//! Received descriptors.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use crate::{channel::Channel, device::Inner, handle::OwnedVfd, memory::Memory, wire::VfdKind};

/// A descriptor that came with a message.
#[derive(Debug)]
pub enum Vfd {
    /// Shared memory.
    Memory(Memory),
    /// A socket, a pipe or a fence.
    Stream(Channel),
}

impl Vfd {
    pub(crate) fn new(device: &Arc<Inner>, vfd: OwnedVfd) -> Self {
        match vfd.kind() {
            VfdKind::Memory { size } => Self::Memory(Memory::new(vfd, size)),
            _ => Self::Stream(Channel::new(Arc::clone(device), vfd)),
        }
    }
}

impl AsFd for Vfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Memory(memory) => memory.as_fd(),
            Self::Stream(channel) => channel.as_fd(),
        }
    }
}

impl From<Vfd> for OwnedFd {
    fn from(vfd: Vfd) -> Self {
        match vfd {
            Vfd::Memory(memory) => memory.into(),
            Vfd::Stream(channel) => channel.into(),
        }
    }
}
