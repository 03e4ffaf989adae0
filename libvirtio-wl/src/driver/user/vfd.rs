//! One VFD, as this side knows it.

use std::{os::fd::OwnedFd, sync::Arc};

use super::{
    inbox::Inbox,
    token::{FileId, TokenPipe},
};
use crate::wire::VfdKind;

/// How many times as many slots must be free as a stream has messages under way. Alone, a stream can
/// have 10, or 39 KiB, which the device finishes in one go; and it takes some forty streams whose
/// peers do not read to leave nothing to the others.
const SHARE: usize = 12;

/// A VFD that the device has.
#[derive(Debug)]
pub(super) enum Vfd {
    Stream(Stream),
    Memory(SharedMemory),
}

/// A socket, pipe or fence.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) kind: VfdKind,
    pub(super) inbox: Inbox,
    /// `None` until the VFD is handed out.
    pub(super) handle: Option<Handle>,
    /// Nothing more arrives, and nothing can be sent.
    pub(super) hung_up: bool,
    /// A request to send has failed after the sender was told that it was taken.
    pub(super) broken: bool,
    /// Requests to send that the device has not finished.
    pub(super) in_flight: usize,
    /// What was consumed without telling the device yet.
    pub(super) uncredited: u32,
    /// In the list of streams whose sender was turned away.
    pub(super) blocked: bool,
    /// A sender that was turned away may try again, which its descriptor tells by being readable:
    /// the read end of a pipe has no other way. Until it is looked at.
    pub(super) may_send: bool,
    /// In the list of streams whose handle must be brought up to date.
    pub(super) dirty: bool,
}

/// The file that stands for a stream.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) pipe: TokenPipe,
    pub(super) file: FileId,
}

/// Shared memory: a file of the device's.
#[derive(Debug)]
pub(super) struct SharedMemory {
    pub(super) file: Arc<OwnedFd>,
    pub(super) identity: FileId,
    pub(super) size: u32,
}

impl Stream {
    /// A stream that nothing has arrived on and nobody has a handle of.
    pub(super) fn new(kind: VfdKind) -> Self {
        Self {
            kind,
            inbox: Inbox::default(),
            handle: None,
            hung_up: false,
            broken: false,
            in_flight: 0,
            uncredited: 0,
            blocked: false,
            may_send: false,
            dirty: false,
        }
    }

    /// Something that the device could not pass: it has hung up from the start.
    pub(super) fn dead() -> Self {
        let kind = VfdKind::Pipe {
            read: false,
            write: false,
        };
        Self {
            hung_up: true,
            ..Self::new(kind)
        }
    }

    /// Whether the user has seen everything there will ever be.
    pub(super) fn is_over(&self) -> bool {
        self.hung_up && self.inbox.is_empty()
    }

    /// Whether another message may go on the queue, of whose slots `room` are left for messages.
    ///
    /// What one stream may have under way shrinks with the room that is left, so that streams whose
    /// messages the device does not finish leave slots for others.
    pub(super) fn has_room(&self, room: usize) -> bool {
        room > self.in_flight * SHARE
    }

    /// Whether messages to it make sense.
    pub(super) fn can_send(&self) -> bool {
        matches!(
            self.kind,
            VfdKind::Socket | VfdKind::Pipe { write: true, .. }
        )
    }

    /// Whether messages from it make sense.
    pub(super) fn can_receive(&self) -> bool {
        matches!(
            self.kind,
            VfdKind::Socket | VfdKind::Pipe { read: true, .. }
        )
    }
}

impl Vfd {
    /// What the user is told it is.
    pub(super) fn kind(&self) -> VfdKind {
        match self {
            Self::Stream(stream) => stream.kind,
            Self::Memory(memory) => VfdKind::Memory {
                size: u64::from(memory.size),
            },
        }
    }
}
