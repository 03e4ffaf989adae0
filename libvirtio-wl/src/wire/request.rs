//! Guest to device.

use zerocopy::{FromBytes, IntoBytes};

use super::{
    ContextName, DmabufLayout, DmabufSync, Features, MsgType, ParseError, PipeDirection, SendKind,
    VfdFlags, VfdId,
    layout::{
        CtrlCredit, CtrlHeader, CtrlId, CtrlNewDmabuf, CtrlNewHead, CtrlNewNamed, CtrlSend,
        CtrlSync, ForeignV1, ForeignV2,
    },
};
use crate::limits::{MAX_REQUEST_SIZE, MAX_VFDS_PER_MESSAGE};

/// A request of the guest.
///
/// The data of a SEND is borrowed from the buffer parsed, which must be private to the parser (a
/// copy, not guest memory).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// VFD_NEW: create shared memory.
    NewMemory {
        /// Id for the new VFD, allocated by the guest.
        id: VfdId,
        /// Only [`VfdFlags::WRITE`] and [`VfdFlags::MAP`], and nothing with
        /// [`Features::TRANS_FLAGS`].
        flags: VfdFlags,
        /// Bytes, not 0. The device rounds up to whole pages.
        size: u32,
    },
    /// VFD_NEW_CTX (empty name) or VFD_NEW_CTX_NAMED: connect.
    NewContext {
        /// Id for the new VFD.
        id: VfdId,
        /// What to connect to.
        name: ContextName,
    },
    /// VFD_NEW_PIPE.
    NewPipe {
        /// Id for the new VFD: the guest's end.
        id: VfdId,
        /// Which end that is.
        direction: PipeDirection,
    },
    /// VFD_NEW_DMABUF.
    NewDmabuf {
        /// Id for the new VFD.
        id: VfdId,
        /// Wanted geometry; strides and offsets are ignored.
        layout: DmabufLayout,
    },
    /// VFD_CLOSE.
    Close {
        /// The VFD to forget.
        id: VfdId,
    },
    /// VFD_SEND.
    Send {
        /// Where to.
        id: VfdId,
        /// VFDs to pass, at most 28; none if there is no data.
        vfds: Vec<VfdId>,
        /// Bytes to send.
        data: &'a [u8],
    },
    /// VFD_SEND_FOREIGN_ID.
    SendForeign {
        /// Where to.
        id: VfdId,
        /// Things to pass, at most 28; none if there is no data.
        items: Vec<SendItem>,
        /// Bytes to send.
        data: &'a [u8],
    },
    /// VFD_CREDIT; an unknown command without [`Features::CREDIT`]. Answered with
    /// [`Response::Ok`](super::Response::Ok), or
    /// [`Response::InvalidId`](super::Response::InvalidId) for a VFD that cannot be received from.
    Credit {
        /// The VFD whose balance rises.
        id: VfdId,
        /// By how much. A device caps the balance at twice
        /// [`INITIAL_CREDIT`](crate::limits::INITIAL_CREDIT).
        units: u32,
    },
    /// VFD_REFRESH; an unknown command without [`Features::REFRESH`]. Answered with
    /// [`Response::VfdNew`](super::Response::VfdNew): where all of the file lies now, and how large
    /// it is. What was mapped before stays valid until the VFD is closed.
    ///
    /// [`Response::InvalidType`](super::Response::InvalidType): no memory.
    /// [`Response::OutOfMemory`](super::Response::OutOfMemory): no room in the region, or the file
    /// has grown more often than [`MAX_GROWTHS`](crate::limits::MAX_GROWTHS).
    Refresh {
        /// A memory VFD.
        id: VfdId,
    },
    /// VFD_DMABUF_SYNC.
    DmabufSync {
        /// The dmabuf.
        id: VfdId,
        /// What kind of access begins or ends.
        flags: DmabufSync,
    },
}

/// Something to pass with VFD_SEND_FOREIGN_ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendItem {
    /// A VFD.
    Local(VfdId),
    /// A resource of virtio-gpu.
    VirtGpu(u32),
    /// A fence of virtio-gpu, by sequence number.
    VirtGpuFence(u64),
    /// A fence that is signalled already.
    VirtGpuSignaledFence,
}

impl<'a> Request<'a> {
    /// Checks a request that was copied out of the `out` queue.
    ///
    /// Creation requests may have any length that contains their fields, up to the 64 bytes all
    /// known drivers send; fields without a meaning in the request are ignored.
    pub fn parse(bytes: &'a [u8], features: Features) -> Result<Self, ParseError> {
        if bytes.len() > MAX_REQUEST_SIZE {
            return Err(ParseError::TooLong(bytes.len()));
        }
        let (header, _) = prefix::<CtrlHeader>(bytes)?;
        let kind = MsgType::try_from(header.kind.get())?;
        if header.flags.get() != 0 {
            return Err(ParseError::BadHeaderFlags(header.flags.get()));
        }
        match kind {
            MsgType::VfdNew => parse_new_memory(bytes, features),
            MsgType::VfdNewCtx => {
                let message = limited::<CtrlId>(bytes, size_of::<CtrlNewNamed>())?;
                Ok(Self::NewContext {
                    id: VfdId::guest(message.vfd_id.get())?,
                    name: ContextName::DEFAULT,
                })
            }
            MsgType::VfdNewCtxNamed => {
                let message = limited::<CtrlNewNamed>(bytes, size_of::<CtrlNewNamed>())?;
                Ok(Self::NewContext {
                    id: VfdId::guest(message.new.vfd_id.get())?,
                    name: ContextName::from_wire(&message.name)?,
                })
            }
            MsgType::VfdNewPipe => {
                let message = limited::<CtrlNewHead>(bytes, size_of::<CtrlNewNamed>())?;
                Ok(Self::NewPipe {
                    id: VfdId::guest(message.vfd_id.get())?,
                    direction: PipeDirection::from_flags(message.flags.get())?,
                })
            }
            MsgType::VfdNewDmabuf => {
                let message = limited::<CtrlNewDmabuf>(bytes, size_of::<CtrlNewDmabuf>())?;
                Ok(Self::NewDmabuf {
                    id: VfdId::guest(message.new.vfd_id.get())?,
                    layout: DmabufLayout::from_wire(message),
                })
            }
            MsgType::VfdClose => {
                let message = limited::<CtrlId>(bytes, size_of::<CtrlId>())?;
                Ok(Self::Close {
                    id: VfdId::new(message.vfd_id.get())?,
                })
            }
            MsgType::VfdSend => parse_send(bytes),
            MsgType::VfdSendForeignId => parse_send_foreign(bytes, features),
            MsgType::VfdCredit if features.contains(Features::CREDIT) => {
                let message = limited::<CtrlCredit>(bytes, size_of::<CtrlCredit>())?;
                Ok(Self::Credit {
                    id: VfdId::new(message.vfd_id.get())?,
                    units: message.units.get(),
                })
            }
            MsgType::VfdRefresh if features.contains(Features::REFRESH) => {
                let message = limited::<CtrlId>(bytes, size_of::<CtrlId>())?;
                Ok(Self::Refresh {
                    id: VfdId::new(message.vfd_id.get())?,
                })
            }
            MsgType::VfdDmabufSync => {
                let message = limited::<CtrlSync>(bytes, size_of::<CtrlSync>())?;
                let raw = message.flags.get();
                Ok(Self::DmabufSync {
                    id: VfdId::new(message.vfd_id.get())?,
                    flags: DmabufSync::from_bits(raw).ok_or(ParseError::BadFlags {
                        flags: raw,
                        allowed: DmabufSync::all().bits(),
                    })?,
                })
            }
            other => Err(ParseError::UnknownType(other as u32)),
        }
    }

    /// Appends the message to `out`, in the form a driver sends.
    pub fn encode(&self, features: Features, out: &mut Vec<u8>) {
        match self {
            Self::NewMemory { id, flags, size } => {
                let mut new = new_head(MsgType::VfdNew, *id, *flags);
                new.size = (*size).into();
                put_new(new, ContextName::DEFAULT, out);
            }
            Self::NewContext { id, name } => {
                let kind = if name.is_default() {
                    MsgType::VfdNewCtx
                } else {
                    MsgType::VfdNewCtxNamed
                };
                put_new(new_head(kind, *id, VfdFlags::empty()), *name, out);
            }
            Self::NewPipe { id, direction } => {
                let new = new_head(MsgType::VfdNewPipe, *id, direction.flags());
                put_new(new, ContextName::DEFAULT, out);
            }
            Self::NewDmabuf { id, layout } => {
                let new = new_head(MsgType::VfdNewDmabuf, *id, VfdFlags::empty());
                out.extend_from_slice(layout.to_wire(new).as_bytes());
            }
            Self::Close { id } => put_id(MsgType::VfdClose, *id, out),
            Self::Refresh { id } => put_id(MsgType::VfdRefresh, *id, out),
            Self::Send { id, vfds, data } => {
                encode_send_head(*id, vfds, out);
                out.extend_from_slice(data);
            }
            Self::SendForeign { id, items, data } => {
                put_send(MsgType::VfdSendForeignId, *id, items.len(), out);
                for item in items {
                    item.encode(features, out);
                }
                out.extend_from_slice(data);
            }
            Self::Credit { id, units } => out.extend_from_slice(
                CtrlCredit {
                    header: header(MsgType::VfdCredit),
                    vfd_id: id.get().into(),
                    units: (*units).into(),
                }
                .as_bytes(),
            ),
            Self::DmabufSync { id, flags } => out.extend_from_slice(
                CtrlSync {
                    header: header(MsgType::VfdDmabufSync),
                    vfd_id: id.get().into(),
                    flags: flags.bits().into(),
                }
                .as_bytes(),
            ),
        }
    }
}

impl SendItem {
    fn encode(self, features: Features, out: &mut Vec<u8>) {
        let (kind, payload) = match self {
            Self::Local(id) => (SendKind::Local, u64::from(id.get())),
            Self::VirtGpu(resource) => (SendKind::VirtGpu, u64::from(resource)),
            Self::VirtGpuFence(seqno) => (SendKind::VirtGpuFence, seqno),
            Self::VirtGpuSignaledFence => (SendKind::VirtGpuSignaledFence, 0),
        };
        if features.contains(Features::SEND_FENCES) {
            let entry = ForeignV2 {
                kind: (kind as u32).into(),
                padding: 0.into(),
                id_or_seqno: payload.into(),
            };
            out.extend_from_slice(entry.as_bytes());
        } else {
            // Only the first two kinds exist in this form, and both have 32-bit payloads.
            let entry = ForeignV1 {
                kind: (kind as u32).into(),
                id: u32::try_from(payload).unwrap_or(u32::MAX).into(),
            };
            out.extend_from_slice(entry.as_bytes());
        }
    }

    fn from_wire(kind: u32, payload: u64, fences: bool) -> Result<Self, ParseError> {
        // Ids occupy the low half of the payload; the high half is whatever the union had.
        let id = payload as u32;
        match SendKind::try_from(kind)? {
            SendKind::Local => Ok(Self::Local(VfdId::new(id)?)),
            SendKind::VirtGpu => Ok(Self::VirtGpu(id)),
            SendKind::VirtGpuFence if fences => Ok(Self::VirtGpuFence(payload)),
            SendKind::VirtGpuSignaledFence if fences => Ok(Self::VirtGpuSignaledFence),
            _ => Err(ParseError::BadSendKind(kind)),
        }
    }
}

impl DmabufLayout {
    pub(super) fn from_wire(message: &CtrlNewDmabuf) -> Self {
        Self {
            width: message.width.get(),
            height: message.height.get(),
            format: message.format.get(),
            strides: message.strides.map(|stride| stride.get()),
            offsets: message.offsets.map(|offset| offset.get()),
        }
    }

    pub(super) fn to_wire(self, new: CtrlNewHead) -> CtrlNewDmabuf {
        CtrlNewDmabuf {
            new,
            width: self.width.into(),
            height: self.height.into(),
            format: self.format.into(),
            strides: self.strides.map(Into::into),
            offsets: self.offsets.map(Into::into),
        }
    }
}

/// Appends the part of a VFD_SEND before its data, for a driver that gathers the data itself.
///
/// The caller keeps `vfds` within [`MAX_VFDS_PER_MESSAGE`].
pub fn encode_send_head(id: VfdId, vfds: &[VfdId], out: &mut Vec<u8>) {
    put_send(MsgType::VfdSend, id, vfds.len(), out);
    put_ids(vfds, out);
}

fn parse_new_memory(bytes: &[u8], features: Features) -> Result<Request<'_>, ParseError> {
    let message = limited::<CtrlNewHead>(bytes, size_of::<CtrlNewNamed>())?;
    let id = VfdId::guest(message.vfd_id.get())?;
    let raw = message.flags.get();
    let flags = VfdFlags::from_bits_retain(raw);
    if features.contains(Features::TRANS_FLAGS) {
        if !flags.is_empty() {
            return Err(ParseError::BadFlags {
                flags: raw,
                allowed: 0,
            });
        }
    } else if !(VfdFlags::WRITE | VfdFlags::MAP).contains(flags) {
        return Err(ParseError::BadLegacyFlags(raw));
    }
    let size = message.size.get();
    if size == 0 {
        return Err(ParseError::ZeroSize);
    }
    Ok(Request::NewMemory { id, flags, size })
}

fn parse_send(bytes: &[u8]) -> Result<Request<'_>, ParseError> {
    let (id, count, rest) = send_head(bytes)?;
    let (vfds, data) = take_ids(bytes.len(), count, rest)?;
    if !vfds.is_empty() && data.is_empty() {
        return Err(ParseError::VfdsWithoutData);
    }
    Ok(Request::Send { id, vfds, data })
}

fn parse_send_foreign(bytes: &[u8], features: Features) -> Result<Request<'_>, ParseError> {
    let (id, count, rest) = send_head(bytes)?;
    let (items, data) = if features.contains(Features::SEND_FENCES) {
        let (entries, data) = entries::<ForeignV2>(bytes.len(), count, rest)?;
        let items = entries
            .iter()
            .map(|e| SendItem::from_wire(e.kind.get(), e.id_or_seqno.get(), true))
            .collect::<Result<Vec<_>, _>>()?;
        (items, data)
    } else {
        let (entries, data) = entries::<ForeignV1>(bytes.len(), count, rest)?;
        let items = entries
            .iter()
            .map(|e| SendItem::from_wire(e.kind.get(), e.id.get().into(), false))
            .collect::<Result<Vec<_>, _>>()?;
        (items, data)
    };
    if !items.is_empty() && data.is_empty() {
        return Err(ParseError::VfdsWithoutData);
    }
    Ok(Request::SendForeign { id, items, data })
}

/// Reads the fixed part of a SEND or RECV: target, number of entries, what follows.
pub(super) fn send_head(bytes: &[u8]) -> Result<(VfdId, usize, &[u8]), ParseError> {
    let (message, rest) = prefix::<CtrlSend>(bytes)?;
    let raw_count = message.vfd_count.get();
    let count = usize::try_from(raw_count)
        .ok()
        .filter(|&count| count <= MAX_VFDS_PER_MESSAGE)
        .ok_or(ParseError::TooManyVfds(raw_count))?;
    Ok((VfdId::new(message.vfd_id.get())?, count, rest))
}

/// Splits `count` ids off `rest`.
pub(super) fn take_ids(
    total: usize,
    count: usize,
    rest: &[u8],
) -> Result<(Vec<VfdId>, &[u8]), ParseError> {
    let (raw, data) = entries::<zerocopy::byteorder::little_endian::U32>(total, count, rest)?;
    let ids = raw
        .iter()
        .map(|id| VfdId::new(id.get()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((ids, data))
}

fn entries<T>(total: usize, count: usize, rest: &[u8]) -> Result<(&[T], &[u8]), ParseError>
where
    T: FromBytes + zerocopy::Immutable + zerocopy::KnownLayout + zerocopy::Unaligned,
{
    <[T]>::ref_from_prefix_with_elems(rest, count).map_err(|_| ParseError::Truncated {
        needed: total - rest.len() + count * size_of::<T>(),
        actual: total,
    })
}

/// Reads a `T` from the front of a message.
pub(super) fn prefix<T>(bytes: &[u8]) -> Result<(&T, &[u8]), ParseError>
where
    T: FromBytes + zerocopy::Immutable + zerocopy::KnownLayout + zerocopy::Unaligned,
{
    T::ref_from_prefix(bytes).map_err(|_| ParseError::Truncated {
        needed: size_of::<T>(),
        actual: bytes.len(),
    })
}

/// Reads a `T` from a message that has no data and at most `allowed` bytes.
pub(super) fn limited<T>(bytes: &[u8], allowed: usize) -> Result<&T, ParseError>
where
    T: FromBytes + zerocopy::Immutable + zerocopy::KnownLayout + zerocopy::Unaligned,
{
    let (message, _) = prefix::<T>(bytes)?;
    if bytes.len() > allowed {
        return Err(ParseError::TrailingBytes {
            allowed,
            actual: bytes.len(),
        });
    }
    Ok(message)
}

pub(super) fn header(kind: MsgType) -> CtrlHeader {
    CtrlHeader {
        kind: (kind as u32).into(),
        flags: 0.into(),
    }
}

pub(super) fn new_head(kind: MsgType, id: VfdId, flags: VfdFlags) -> CtrlNewHead {
    CtrlNewHead {
        header: header(kind),
        vfd_id: id.get().into(),
        flags: flags.bits().into(),
        pfn: 0.into(),
        size: 0.into(),
    }
}

fn put_id(kind: MsgType, id: VfdId, out: &mut Vec<u8>) {
    let message = CtrlId {
        header: header(kind),
        vfd_id: id.get().into(),
    };
    out.extend_from_slice(message.as_bytes());
}

fn put_new(new: CtrlNewHead, name: ContextName, out: &mut Vec<u8>) {
    let message = CtrlNewNamed {
        new,
        name: name.to_wire(),
        reserved: 0.into(),
    };
    out.extend_from_slice(message.as_bytes());
}

pub(super) fn put_send(kind: MsgType, id: VfdId, count: usize, out: &mut Vec<u8>) {
    debug_assert!(count <= MAX_VFDS_PER_MESSAGE);
    let message = CtrlSend {
        header: header(kind),
        vfd_id: id.get().into(),
        vfd_count: u32::try_from(count).unwrap_or(u32::MAX).into(),
    };
    out.extend_from_slice(message.as_bytes());
}

pub(super) fn put_ids(ids: &[VfdId], out: &mut Vec<u8>) {
    for id in ids {
        out.extend_from_slice(&id.get().to_le_bytes());
    }
}
