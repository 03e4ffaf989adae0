//! Device to guest, as the answer to a request.

use nix::errno::Errno;
use zerocopy::IntoBytes;

use super::{
    DmabufLayout, Features, MsgType, ParseError, VfdInfo,
    layout::{CtrlNew, CtrlNewDmabuf, CtrlNewHead},
    request::prefix,
};

/// The answer to a [`Request`](super::Request).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// RESP_OK.
    Ok,
    /// RESP_VFD_NEW: the VFD exists.
    VfdNew(VfdInfo),
    /// RESP_VFD_NEW_DMABUF: the dmabuf exists.
    VfdNewDmabuf(VfdInfo, DmabufLayout),
    /// RESP_ERR: the host refused or failed; nobody listens, or the peer is gone.
    Err,
    /// RESP_OUT_OF_MEMORY.
    OutOfMemory,
    /// RESP_INVALID_ID: no such VFD, or the id of a new one is taken or not the guest's to take.
    InvalidId,
    /// RESP_INVALID_TYPE: this VFD cannot do or be that.
    InvalidType,
    /// RESP_INVALID_FLAGS.
    InvalidFlags,
    /// RESP_INVALID_CMD: unknown or malformed.
    InvalidCmd,
}

impl Response {
    /// Checks an answer that was copied out of the writable part of a finished request.
    ///
    /// `bytes` may be longer than the answer: drivers offer 64 bytes for any.
    pub fn parse(bytes: &[u8], features: Features) -> Result<Self, ParseError> {
        let (kind, _) = prefix::<zerocopy::byteorder::little_endian::U32>(bytes)?;
        match MsgType::try_from(kind.get())? {
            MsgType::RespOk => Ok(Self::Ok),
            MsgType::RespVfdNew => {
                let (new, _) = prefix::<CtrlNewHead>(bytes)?;
                Ok(Self::VfdNew(VfdInfo::from_wire(new, features)?))
            }
            MsgType::RespVfdNewDmabuf => {
                let (message, _) = prefix::<CtrlNewDmabuf>(bytes)?;
                Ok(Self::VfdNewDmabuf(
                    VfdInfo::from_wire(&message.new, features)?,
                    DmabufLayout::from_wire(message),
                ))
            }
            MsgType::RespErr => Ok(Self::Err),
            MsgType::RespOutOfMemory => Ok(Self::OutOfMemory),
            MsgType::RespInvalidId => Ok(Self::InvalidId),
            MsgType::RespInvalidType => Ok(Self::InvalidType),
            MsgType::RespInvalidFlags => Ok(Self::InvalidFlags),
            MsgType::RespInvalidCmd => Ok(Self::InvalidCmd),
            other => Err(ParseError::UnknownType(other as u32)),
        }
    }

    /// Appends the answer to `out`: 32 bytes for a new VFD, 64 for a dmabuf, the type alone for
    /// anything else, as known devices write.
    pub fn encode(&self, features: Features, out: &mut Vec<u8>) {
        match self {
            Self::VfdNew(info) => {
                out.extend_from_slice(info.to_wire(MsgType::RespVfdNew, features).as_bytes());
                out.extend_from_slice(&[0; size_of::<CtrlNew>() - size_of::<CtrlNewHead>()]);
            }
            Self::VfdNewDmabuf(info, layout) => {
                let new = info.to_wire(MsgType::RespVfdNewDmabuf, features);
                out.extend_from_slice(layout.to_wire(new).as_bytes());
            }
            simple => out.extend_from_slice(&(simple.kind() as u32).to_le_bytes()),
        }
    }

    /// The type word of the answer.
    pub const fn kind(&self) -> MsgType {
        match self {
            Self::Ok => MsgType::RespOk,
            Self::VfdNew(_) => MsgType::RespVfdNew,
            Self::VfdNewDmabuf(..) => MsgType::RespVfdNewDmabuf,
            Self::Err => MsgType::RespErr,
            Self::OutOfMemory => MsgType::RespOutOfMemory,
            Self::InvalidId => MsgType::RespInvalidId,
            Self::InvalidType => MsgType::RespInvalidType,
            Self::InvalidFlags => MsgType::RespInvalidFlags,
            Self::InvalidCmd => MsgType::RespInvalidCmd,
        }
    }

    /// The errno the kernel driver gives user space for this answer; `None` for success.
    pub const fn errno(&self) -> Option<Errno> {
        match self {
            Self::Ok | Self::VfdNew(_) | Self::VfdNewDmabuf(..) => None,
            Self::Err => Some(Errno::ENODEV),
            Self::OutOfMemory => Some(Errno::ENOMEM),
            Self::InvalidId => Some(Errno::ENOENT),
            Self::InvalidType => Some(Errno::EINVAL),
            Self::InvalidFlags => Some(Errno::EPERM),
            Self::InvalidCmd => Some(Errno::ENOTTY),
        }
    }
}
