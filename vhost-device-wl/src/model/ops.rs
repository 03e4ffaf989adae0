//! What can happen, and how it is read from bytes.

use virtio_wl::limits::MAX_CHUNK;
use virtio_wl::wire::{ContextName, Features};
use virtio_wl::wire::{PipeDirection, Request, SendItem, VfdFlags, VfdId};

/// From this number on, an id in an operation means a VFD received from a peer.
pub(super) const RECEIVED: u32 = 32;

/// A descriptor a peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerFd {
    /// A memfd that can be shared.
    Memory,
    /// The same one each time.
    SameMemory,
    /// A memfd that must be copied: sealed, and of an odd size.
    Sealed,
    /// The read end of a pipe with something in it.
    ReadEnd,
    /// The write end of a pipe whose reader is gone.
    DeadEnd,
    /// One end of a socket pair.
    Socket,
    /// An eventfd.
    Odd,
}

impl PeerFd {
    const ALL: [PeerFd; 7] = [
        PeerFd::Memory,
        PeerFd::SameMemory,
        PeerFd::Sealed,
        PeerFd::ReadEnd,
        PeerFd::DeadEnd,
        PeerFd::Socket,
        PeerFd::Odd,
    ];
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The guest opens a context, behind which is a new peer.
    Connect {
        /// Its id.
        id: u32,
    },
    /// The guest asks for memory.
    NewMemory {
        /// Its id.
        id: u32,
        /// Bytes.
        size: u32,
    },
    /// The guest asks for a pipe.
    NewPipe {
        /// Its id.
        id: u32,
        /// The guest reads.
        read: bool,
    },
    /// The guest sends bytes and VFDs.
    Send {
        /// Where to.
        id: u32,
        /// What with.
        attach: Vec<u32>,
        /// Bytes.
        len: u16,
    },
    /// The guest closes a VFD.
    Close {
        /// Which.
        id: u32,
    },
    /// The guest grants credit.
    Credit {
        /// To which.
        id: u32,
        /// How much.
        units: u32,
    },
    /// The guest asks how large memory is now.
    Refresh {
        /// Which.
        id: u32,
    },
    /// The guest sends anything at all.
    Raw(Vec<u8>),
    /// The guest posts descriptors of its own making: offset in memory, length,
    /// flags, next.
    Chain(Vec<(u32, u32, u16, u16)>),
    /// A peer sends.
    PeerSend {
        /// Which.
        peer: u8,
        /// Bytes.
        len: u16,
        /// What with.
        fds: Vec<PeerFd>,
    },
    /// The file that peers send again and again becomes larger.
    PeerGrow {
        /// By how many bytes.
        by: u16,
    },
    /// A peer reads all there is.
    PeerReceive {
        /// Which.
        peer: u8,
    },
    /// A peer goes away.
    PeerLeave {
        /// Which.
        peer: u8,
    },
    /// The guest gives buffers of messages back.
    GiveBack {
        /// How many at most.
        count: u8,
    },
    /// The frontend refuses the next mapping.
    RefuseMap,
    /// The guest's driver starts over.
    Restart,
}

impl Op {
    /// Reads operations until the bytes are used up. Any bytes are some operations.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Vec<Op> {
        let mut input = Input(bytes);
        std::iter::from_fn(|| input.op()).collect()
    }
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn id(&mut self) -> Option<u32> {
        Some(1 + u32::from(self.byte()? % 63))
    }

    fn short(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    fn word(&mut self) -> Option<u32> {
        Some(u32::from(self.short()?) | u32::from(self.short()?) << 16)
    }

    fn op(&mut self) -> Option<Op> {
        Some(match self.byte()? % 16 {
            0 | 1 => Op::Connect { id: self.id()? },
            2 => Op::NewMemory {
                id: self.id()?,
                size: self.word()? >> 10,
            },
            3 => Op::NewPipe {
                id: self.id()?,
                read: self.byte()? & 1 == 0,
            },
            4 | 5 => {
                let (id, count) = (self.id()?, self.byte()? % 30);
                let attach = (0..count % 4).map(|_| self.id()).collect::<Option<_>>()?;
                let len = self.short()?;
                Op::Send { id, attach, len }
            }
            6 => Op::Close { id: self.id()? },
            7 => Op::Credit {
                id: self.id()?,
                units: self.word()?,
            },
            8 => {
                let len = usize::from(self.byte()?).min(self.0.len());
                let (raw, rest) = self.0.split_at(len);
                self.0 = rest;
                Op::Raw(raw.to_vec())
            }
            9 => {
                let count = 1 + self.byte()? % 5;
                let one = |input: &mut Self| {
                    Some((input.word()?, input.word()?, input.short()?, input.short()?))
                };
                Op::Chain((0..count).map(|_| one(self)).collect::<Option<_>>()?)
            }
            10 | 11 => {
                let (peer, len, count) = (self.byte()?, self.short()?, self.byte()? % 32);
                let kind = |input: &mut Self| {
                    let n = usize::from(input.byte()?);
                    Some(PeerFd::ALL[n % PeerFd::ALL.len()])
                };
                let fds = (0..count).map(|_| kind(self)).collect::<Option<_>>()?;
                Op::PeerSend { peer, len, fds }
            }
            12 => Op::PeerReceive { peer: self.byte()? },
            13 => Op::PeerLeave { peer: self.byte()? },
            14 => Op::GiveBack {
                count: self.byte()?,
            },
            _ => match self.byte()? % 4 {
                0 => Op::Restart,
                1 => Op::Refresh { id: self.id()? },
                2 => Op::PeerGrow { by: self.short()? },
                _ => Op::RefuseMap,
            },
        })
    }
}

/// Features under which requests are encoded: all, as encoding adapts to few.
const FEATURES: Features = Features::all();

fn encode(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(FEATURES, &mut bytes);
    bytes
}

fn vfd(id: u32) -> VfdId {
    VfdId::new(id).expect("operations have legal ids")
}

pub(super) fn connect(id: u32) -> Vec<u8> {
    let name = ContextName::new("peer").expect("a legal name");
    encode(&Request::NewContext { id: vfd(id), name })
}

pub(super) fn new_memory(id: u32, size: u32) -> Vec<u8> {
    let flags = VfdFlags::empty();
    encode(&Request::NewMemory {
        id: vfd(id),
        flags,
        size,
    })
}

pub(super) fn new_pipe(id: u32, read: bool) -> Vec<u8> {
    let direction = if read {
        PipeDirection::Read
    } else {
        PipeDirection::Write
    };
    encode(&Request::NewPipe {
        id: vfd(id),
        direction,
    })
}

pub(super) fn send(id: u32, attach: &[u32], len: usize) -> Vec<u8> {
    let data = vec![0x5a; len.min(MAX_CHUNK)];
    let id = vfd(id);
    // Both forms, so that both are tried.
    if len.is_multiple_of(2) {
        let vfds = attach.iter().map(|id| vfd(*id)).collect();
        encode(&Request::Send {
            id,
            vfds,
            data: &data,
        })
    } else {
        let items = attach.iter().map(|id| SendItem::Local(vfd(*id))).collect();
        encode(&Request::SendForeign {
            id,
            items,
            data: &data,
        })
    }
}

pub(super) fn close(id: u32) -> Vec<u8> {
    encode(&Request::Close { id: vfd(id) })
}

pub(super) fn refresh(id: u32) -> Vec<u8> {
    encode(&Request::Refresh { id: vfd(id) })
}

pub(super) fn credit(id: u32, units: u32) -> Vec<u8> {
    encode(&Request::Credit { id: vfd(id), units })
}
