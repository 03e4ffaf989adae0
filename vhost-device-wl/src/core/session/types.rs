//! What goes into a session and comes out of it.

use std::io;

use super::super::memory::MemoryError;
use super::super::quota::Exceeded;
use super::Key;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No such VFD, or one of that key exists already.
    #[error("no such VFD, or its id is taken")]
    Id,
    /// This VFD cannot do or be that.
    #[error("not possible with this VFD")]
    Type,
    /// No memory, no room in the region, or a quota is used up.
    #[error("out of memory")]
    Memory(#[from] MemoryError),
    /// The VM has too many VFDs.
    #[error(transparent)]
    Quota(#[from] Exceeded),
    /// No entry of that name.
    #[error("nobody offers this name")]
    Unnamed,
    /// The host refused or failed.
    #[error("failed on the host")]
    Host(#[from] io::Error),
}

/// A VFD as a message to the guest describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// Shared memory.
    Memory {
        /// Where the guest sees it in the region, in bytes.
        offset: u64,
        /// Exact size in bytes.
        size: u64,
    },
    /// A connection.
    Socket,
    /// A pipe end.
    Pipe {
        /// The guest can receive.
        read: bool,
        /// The guest can send.
        write: bool,
    },
    /// Hangs up when signalled.
    Fence,
    /// Something the guest cannot have; it can only be closed.
    Dead,
}

/// What happened on the host side of a VFD.
#[derive(Debug)]
pub enum Inbound {
    /// Bytes, and the VFDs that came with them (their keys are new).
    Data {
        /// Which VFD.
        key: Key,
        /// At least one byte.
        bytes: Vec<u8>,
        /// In the order sent.
        attached: Vec<(Key, Announced)>,
    },
    /// Nothing more will come. Reported once, after all data.
    HangUp {
        /// Which VFD.
        key: Key,
    },
}

/// Sizes the personality fixes.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Most bytes of one [`Inbound::Data`].
    pub max_chunk: usize,
    /// Keys of received VFDs count up from here.
    pub first_key: Key,
    /// Keys of received VFDs end before this one.
    pub end_key: Key,
    /// Bytes a connection may have queued towards a peer that does not read.
    pub max_socket_queue: usize,
    /// The same of a pipe.
    pub max_pipe_queue: usize,
}
