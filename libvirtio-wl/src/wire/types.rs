//! Numbers with a meaning: features, message types, flags, kinds.

use bitflags::bitflags;

use super::{ParseError, VfdId};
use crate::limits::{NO_PFN_ABSOLUTE, NO_PFN_SHMEM, PAGE_SHIFT, SHMEM_REGION_SIZE};

bitflags! {
    /// Device feature bits of virtio_wl (the virtio and vhost-user bits are not among them).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Features: u64 {
        /// VFD flags say what a VFD can do, see [`VfdFlags`]; without it they say what it is.
        const TRANS_FLAGS = 1 << 1;
        /// Entries of VFD_SEND_FOREIGN_ID have the 16-byte form, and may be fences.
        const SEND_FENCES = 1 << 2;
        /// `pfn` is an offset in shared memory region 0, not a guest-physical page number.
        const USE_SHMEM = 1 << 3;
        /// The guest can ask how large the file of a memory VFD has become since it was announced,
        /// an extension of this project. See [`Request::Refresh`].
        ///
        /// [`Request::Refresh`]: super::Request::Refresh
        const REFRESH = 1 << 22;
        /// Flow control per VFD, an extension of this project: extensions count down from the last
        /// bit below virtio's own. A device offers it only if it keeps the rules below.
        ///
        /// Each VFD the guest can receive from starts with a balance of
        /// [`INITIAL_CREDIT`](crate::limits::INITIAL_CREDIT). A VFD_RECV takes from it as many units
        /// as it has data bytes, and [`CREDIT_PER_VFD`](crate::limits::CREDIT_PER_VFD) for each VFD
        /// it names; VFD_NEW and VFD_HUP cost nothing. The device sends a VFD_RECV only while the
        /// balance is positive (so it overshoots by at most one message) and otherwise leaves that
        /// VFD's host file unread. The guest copies everything out of the `in` buffers at once,
        /// gives the buffers back, and adds to the balance with [`Request::Credit`] as its reader
        /// consumes. So a VFD that nobody reads pauses itself and nothing else.
        ///
        /// In the other direction the device may give the buffers of a VFD_SEND back late, while its
        /// peer does not read; requests for other VFDs overtake it. The guest bounds what it has
        /// under way for one VFD, and must not let a thread wait for it uninterruptibly.
        ///
        /// [`Request::Credit`]: super::Request::Credit
        const CREDIT = 1 << 23;
    }
}

bitflags! {
    /// Flags of a VFD.
    ///
    /// With [`Features::TRANS_FLAGS`]: sockets are `WRITE | READ`, pipes what the guest may do with
    /// its end, fences `FENCE`, memory 0. Without: sockets are `CONTROL`, memory `WRITE | MAP`,
    /// pipes 0.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct VfdFlags: u32 {
        /// The guest can send to it.
        const WRITE = 1;
        /// The guest can receive from it.
        const READ = 2;
        /// Meaning of bit 1 before [`Features::TRANS_FLAGS`]: it has memory.
        const MAP = 2;
        /// A socket, before [`Features::TRANS_FLAGS`].
        const CONTROL = 4;
        /// A fence: hangs up when signalled.
        const FENCE = 8;
    }
}

bitflags! {
    /// What VFD_DMABUF_SYNC asks for: the flags of Linux's `DMA_BUF_IOCTL_SYNC`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct DmabufSync: u32 {
        /// The guest reads.
        const READ = 1;
        /// The guest writes.
        const WRITE = 2;
        /// Access ends; without it, access starts.
        const END = 4;
    }
}

/// Declares an enum with explicit numbers and the conversion from them.
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident, $error:path { $($(#[$vmeta:meta])* $variant:ident = $value:expr,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum $name { $($(#[$vmeta])* $variant = $value,)* }

        impl TryFrom<u32> for $name {
            type Error = ParseError;

            fn try_from(value: u32) -> Result<Self, ParseError> {
                match value {
                    $($value => Ok(Self::$variant),)*
                    _ => Err($error(value)),
                }
            }
        }

        impl $name {
            /// Every value there is.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
        }
    };
}

wire_enum! {
    /// First word of every message.
    MsgType, ParseError::UnknownType {
        /// Guest: create memory. Device: here is a VFD you did not ask for.
        VfdNew = 0x100,
        /// Guest: forget this VFD.
        VfdClose = 0x101,
        /// Guest: data and VFDs for this VFD.
        VfdSend = 0x102,
        /// Device: data and VFDs from this VFD.
        VfdRecv = 0x103,
        /// Guest: connect to the default context.
        VfdNewCtx = 0x104,
        /// Guest: create a pipe.
        VfdNewPipe = 0x105,
        /// Device: nothing more will come from this VFD.
        VfdHup = 0x106,
        /// Guest: create a dmabuf.
        VfdNewDmabuf = 0x107,
        /// Guest: begin or end CPU access to a dmabuf.
        VfdDmabufSync = 0x108,
        /// Guest: as VFD_SEND, with entries that may be objects of virtio-gpu.
        VfdSendForeignId = 0x109,
        /// Guest: connect to a named context.
        VfdNewCtxNamed = 0x10a,
        /// Guest: the device may send more from this VFD; needs [`Features::CREDIT`].
        VfdCredit = 0x180,
        /// Guest: how large is the file of this memory VFD now; needs [`Features::REFRESH`].
        VfdRefresh = 0x181,
        /// Reply: done.
        RespOk = 0x1000,
        /// Reply: created, see the fields.
        RespVfdNew = 0x1001,
        /// Reply: dmabuf created, see the fields.
        RespVfdNewDmabuf = 0x1002,
        /// Reply: failed on the host.
        RespErr = 0x1100,
        /// Reply: no memory, or no room in the region.
        RespOutOfMemory = 0x1101,
        /// Reply: no such VFD, or the id cannot be used.
        RespInvalidId = 0x1102,
        /// Reply: this VFD cannot do that.
        RespInvalidType = 0x1103,
        /// Reply: flags not allowed.
        RespInvalidFlags = 0x1104,
        /// Reply: unknown or malformed request.
        RespInvalidCmd = 0x1105,
    }
}

wire_enum! {
    /// What an entry of VFD_SEND_FOREIGN_ID is.
    SendKind, ParseError::BadSendKind {
        /// A VFD.
        Local = 0,
        /// A resource of virtio-gpu.
        VirtGpu = 1,
        /// A fence of virtio-gpu; needs [`Features::SEND_FENCES`].
        VirtGpuFence = 2,
        /// A fence that is signalled already; needs [`Features::SEND_FENCES`].
        VirtGpuSignaledFence = 3,
    }
}

/// Which end of a new pipe the guest keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PipeDirection {
    /// The guest reads what the receiver of the other end writes.
    Read,
    /// The guest writes what the receiver of the other end reads.
    Write,
}

impl PipeDirection {
    /// The flags of VFD_NEW_PIPE and of its reply.
    pub const fn flags(self) -> VfdFlags {
        match self {
            Self::Read => VfdFlags::READ,
            Self::Write => VfdFlags::WRITE,
        }
    }

    pub(super) fn from_flags(flags: u32) -> Result<Self, ParseError> {
        match VfdFlags::from_bits_retain(flags) {
            VfdFlags::READ => Ok(Self::Read),
            VfdFlags::WRITE => Ok(Self::Write),
            _ => Err(ParseError::BadPipeFlags(flags)),
        }
    }
}

/// What a VFD is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VfdKind {
    /// A byte stream in both directions that carries descriptors.
    Socket,
    /// A byte stream without descriptors. Neither direction: an object the device could not pass;
    /// it has hung up.
    Pipe {
        /// The guest can receive.
        read: bool,
        /// The guest can send.
        write: bool,
    },
    /// Shared memory.
    Memory {
        /// Bytes; not necessarily whole pages.
        size: u64,
    },
    /// Hangs up when signalled.
    Fence,
}

/// Where the memory of a VFD lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryRange {
    /// First page, in units of 4096 bytes: offset in the shared memory region with
    /// [`Features::USE_SHMEM`], guest-physical page otherwise.
    pub pfn: u64,
    /// Size in bytes, never 0.
    pub size: u32,
}

impl MemoryRange {
    /// Offset of the first byte in the region (or in guest-physical memory).
    pub const fn offset(&self) -> u64 {
        self.pfn << PAGE_SHIFT
    }

    /// Reads the two fields of a message: `None` when they say "no memory".
    pub(super) fn from_wire(
        pfn: u64,
        size: u32,
        features: Features,
    ) -> Result<Option<Self>, ParseError> {
        let shmem = features.contains(Features::USE_SHMEM);
        let none = if shmem { NO_PFN_SHMEM } else { NO_PFN_ABSOLUTE };
        // Replies about sockets carry pfn 0 even where that is a valid offset: the size tells.
        if pfn == none || size == 0 {
            return Ok(None);
        }
        let end = pfn
            .checked_mul(1 << PAGE_SHIFT)
            .and_then(|start| start.checked_add(u64::from(size)))
            .ok_or(ParseError::BadMemory { pfn, size })?;
        if shmem && end > SHMEM_REGION_SIZE {
            return Err(ParseError::BadMemory { pfn, size });
        }
        Ok(Some(Self { pfn, size }))
    }

    pub(super) fn to_wire(memory: Option<Self>, features: Features) -> (u64, u32) {
        match memory {
            Some(range) => (range.pfn, range.size),
            None if features.contains(Features::USE_SHMEM) => (NO_PFN_SHMEM, 0),
            None => (NO_PFN_ABSOLUTE, 0),
        }
    }
}

/// What the device says of a VFD when it comes into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VfdInfo {
    /// Its id.
    pub id: VfdId,
    /// Its flags, in the meaning the features give them.
    pub flags: VfdFlags,
    /// Its memory, if it has any.
    pub memory: Option<MemoryRange>,
}

impl VfdInfo {
    /// What this VFD is, as far as the device tells.
    pub fn kind(&self, features: Features) -> VfdKind {
        if let Some(memory) = self.memory {
            return VfdKind::Memory {
                size: u64::from(memory.size),
            };
        }
        if self.flags.contains(VfdFlags::FENCE) {
            return VfdKind::Fence;
        }
        let (read, write) = if features.contains(Features::TRANS_FLAGS) {
            (
                self.flags.contains(VfdFlags::READ),
                self.flags.contains(VfdFlags::WRITE),
            )
        } else if self.flags.contains(VfdFlags::CONTROL) {
            (true, true)
        } else {
            // Old devices do not say which end of a pipe this is; both calls may be tried.
            return VfdKind::Pipe {
                read: true,
                write: true,
            };
        };
        if read && write {
            VfdKind::Socket
        } else {
            VfdKind::Pipe { read, write }
        }
    }
}

/// Geometry of a dmabuf, asked for or granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct DmabufLayout {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// DRM fourcc.
    pub format: u32,
    /// Bytes per row of each plane; 0 in a request.
    pub strides: [u32; 3],
    /// First byte of each plane; 0 in a request.
    pub offsets: [u32; 3],
}
