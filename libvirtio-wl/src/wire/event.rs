//! Device to guest, unasked.

use zerocopy::IntoBytes;

use super::{
    Features, MemoryRange, MsgType, ParseError, VfdFlags, VfdId, VfdInfo,
    layout::{CtrlHeader, CtrlId, CtrlNew, CtrlNewDmabuf, CtrlNewHead},
    request::{header, limited, new_head, prefix, put_ids, put_send, send_head, take_ids},
};
use crate::limits::IN_BUFFER_SIZE;

/// A message on the `in` queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// VFD_NEW: the device created a VFD; a [`Event::Recv`] that names it follows.
    VfdNew(VfdInfo),
    /// VFD_RECV: bytes and VFDs from a VFD.
    Recv {
        /// Where from.
        id: VfdId,
        /// VFDs announced before.
        vfds: Vec<VfdId>,
        /// Bytes; may be none when there are VFDs.
        data: &'a [u8],
    },
    /// VFD_HUP: nothing follows from this VFD.
    Hup {
        /// The VFD.
        id: VfdId,
    },
}

impl<'a> Event<'a> {
    /// Checks a message that was copied out of the used part of an `in` buffer.
    pub fn parse(bytes: &'a [u8], features: Features) -> Result<Self, ParseError> {
        if bytes.len() > IN_BUFFER_SIZE {
            return Err(ParseError::TooLong(bytes.len()));
        }
        let (head, _) = prefix::<CtrlHeader>(bytes)?;
        let kind = MsgType::try_from(head.kind.get())?;
        if head.flags.get() != 0 {
            return Err(ParseError::BadHeaderFlags(head.flags.get()));
        }
        match kind {
            MsgType::VfdNew => {
                let new = limited::<CtrlNewHead>(bytes, size_of::<CtrlNewDmabuf>())?;
                let info = VfdInfo::from_wire(new, features)?;
                if !info.id.is_host() {
                    return Err(ParseError::BadId(info.id.get()));
                }
                Ok(Self::VfdNew(info))
            }
            MsgType::VfdRecv => {
                let (id, count, rest) = send_head(bytes)?;
                let (vfds, data) = take_ids(bytes.len(), count, rest)?;
                Ok(Self::Recv { id, vfds, data })
            }
            MsgType::VfdHup => {
                let message = limited::<CtrlId>(bytes, size_of::<CtrlId>())?;
                Ok(Self::Hup {
                    id: VfdId::new(message.vfd_id.get())?,
                })
            }
            other => Err(ParseError::UnknownType(other as u32)),
        }
    }

    /// Appends the message to `out`.
    ///
    /// It fits an `in` buffer when `data` is at most [`MAX_CHUNK`](crate::limits::MAX_CHUNK) bytes.
    pub fn encode(&self, features: Features, out: &mut Vec<u8>) {
        match self {
            Self::VfdNew(info) => {
                let message = info.to_wire(MsgType::VfdNew, features);
                out.extend_from_slice(message.as_bytes());
                out.extend_from_slice(&[0; size_of::<CtrlNew>() - size_of::<CtrlNewHead>()]);
            }
            Self::Recv { id, vfds, data } => {
                encode_recv_head(*id, vfds, out);
                out.extend_from_slice(data);
            }
            Self::Hup { id } => out.extend_from_slice(
                CtrlId {
                    header: header(MsgType::VfdHup),
                    vfd_id: id.get().into(),
                }
                .as_bytes(),
            ),
        }
    }
}

/// Appends the part of a VFD_RECV before its data, for a device that puts the data there itself.
///
/// The caller keeps `vfds` within [`MAX_VFDS_PER_MESSAGE`](crate::limits::MAX_VFDS_PER_MESSAGE).
pub fn encode_recv_head(id: VfdId, vfds: &[VfdId], out: &mut Vec<u8>) {
    put_send(MsgType::VfdRecv, id, vfds.len(), out);
    put_ids(vfds, out);
}

impl VfdInfo {
    pub(super) fn from_wire(new: &CtrlNewHead, features: Features) -> Result<Self, ParseError> {
        let raw = new.flags.get();
        let flags = VfdFlags::from_bits(raw).ok_or(ParseError::BadFlags {
            flags: raw,
            allowed: VfdFlags::all().bits(),
        })?;
        Ok(Self {
            id: VfdId::new(new.vfd_id.get())?,
            flags,
            memory: MemoryRange::from_wire(new.pfn.get(), new.size.get(), features)?,
        })
    }

    pub(super) fn to_wire(self, kind: MsgType, features: Features) -> CtrlNewHead {
        let (pfn, size) = MemoryRange::to_wire(self.memory, features);
        let mut new = new_head(kind, self.id, self.flags);
        new.pfn = pfn.into();
        new.size = size.into();
        new
    }
}
