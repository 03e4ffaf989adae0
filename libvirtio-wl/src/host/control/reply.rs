//! What is answered.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Any answer, for the side that writes them.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To `add`.
    Added(Added),
    /// To `remove`.
    Removed(Removed),
    /// To `list`.
    Listing(Box<Listing>),
    /// To `queues`.
    Queues(QueueListing),
    /// To anything refused.
    Error {
        /// Why.
        error: ErrorReply,
    },
}

impl Reply {
    /// A refusal.
    pub fn error(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Error {
            error: ErrorReply { kind, message },
        }
    }

    /// The answer's bytes.
    ///
    /// # Errors
    ///
    /// Only for a path that is not UTF-8.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ErrorReply {
    /// For programs.
    pub kind: ErrorKind,
    /// For people: one line, lower case.
    pub message: String,
}

/// Reasons a program may want to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// Not a request, or one too long.
    InvalidRequest,
    /// The name is empty, too long, or has a byte no context name has.
    InvalidName,
    /// The name is taken.
    NameInUse,
    /// No entry of that name (removed, or consumed by the guest).
    NotFound,
    /// As many entries as may wait are waiting.
    TooMany,
    /// A connected entry came without its socket.
    MissingDescriptor,
    /// A descriptor came with a request that takes none, or more than one came.
    UnexpectedDescriptor,
    /// The descriptor is not a connected stream socket.
    NotAStreamSocket,
    /// The path is empty, too long or not absolute.
    InvalidPath,
    /// The device could not do it for reasons of its own.
    Internal,
    /// A reason a newer device knows.
    #[serde(other)]
    Unknown,
}

/// The entry is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// Its name, `%d` replaced.
    pub name: String,
}

/// The entry is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Its name.
    pub name: String,
}

/// Named sockets, VFDs (at most [`MAX_VFDS_PER_LISTING`](super::MAX_VFDS_PER_LISTING)
/// at a time), totals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listing {
    /// Entries that a context can open now.
    pub sockets: Vec<SocketEntry>,
    /// VFDs in order of their ids.
    pub vfds: Vec<VfdEntry>,
    /// More VFDs follow: ask again from this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
    /// Use of the VM's limits.
    pub totals: Totals,
}

/// A named socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketEntry {
    /// Context name.
    pub name: String,
    /// What opening it does.
    #[serde(flatten)]
    pub kind: SocketKind,
}

/// What opening a named socket does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SocketKind {
    /// Connect to a path, each time.
    Listening {
        /// Where.
        path: PathBuf,
    },
    /// Hand over this one connection.
    Connected,
}

/// Messages, bytes and descriptors that went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traffic {
    /// `SEND` or `RECV` messages.
    pub messages: u64,
    /// Payload bytes.
    pub bytes: u64,
    /// Descriptors.
    pub descriptors: u64,
}

/// One VFD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VfdEntry {
    /// Its id.
    pub id: u32,
    /// `socket`, `pipe`, `memory`, `fence`.
    pub kind: String,
    /// The context it was opened as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Size in bytes, for memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// From the guest to the host.
    pub to_host: Traffic,
    /// From the host to the guest.
    pub to_guest: Traffic,
    /// Bytes taken from the guest that the host's peer has not read yet.
    pub queued_bytes: u64,
    /// Descriptors among them.
    pub queued_descriptors: u64,
    /// The host's end has hung up.
    pub hung_up: bool,
    /// Something waits to be delivered but there is no buffer, or it is not its turn.
    pub waiting: bool,
}

/// How much of the VM's limits is used, in bytes and counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Live VFDs.
    pub vfds: u64,
    /// Most there may be.
    pub max_vfds: u64,
    /// Memory held by the VM's name, bytes.
    pub memory_bytes: u64,
    /// Most there may be.
    pub max_memory_bytes: u64,
    /// Bytes queued towards host peers.
    pub queued_bytes: u64,
    /// Most there may be.
    pub max_queued_bytes: u64,
    /// Bytes of memory mapped into the guest now.
    pub mapped_bytes: u64,
    /// Live mappings.
    pub mappings: u64,
}

/// State of the virtqueues, to see why a guest seems stuck.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueListing {
    /// One entry per queue.
    pub queues: Vec<QueueEntry>,
}

/// One virtqueue. Indices are the free-running 16-bit ones of a split queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueEntry {
    /// Position among the device's queues.
    pub index: u16,
    /// `in` or `out`.
    pub name: String,
    /// Entries.
    pub size: u16,
    /// The driver has set it up and enabled it.
    pub ready: bool,
    /// `avail.idx` in guest memory now.
    pub avail_idx: u16,
    /// `used.idx` in guest memory now.
    pub used_idx: u16,
    /// Shadow: the next available entry the device will take.
    pub next_avail: u16,
    /// Shadow: the next used entry the device will fill.
    pub next_used: u16,
    /// A kick has come that has not been served.
    pub pending_kick: bool,
    /// Kicks served.
    pub kicks: u64,
    /// Interrupts sent.
    pub interrupts: u64,
    /// Ids of VFDs that wait for a buffer of this queue.
    pub waiting: Vec<u32>,
}
