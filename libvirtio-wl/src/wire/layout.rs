//! The messages as they lie in memory: little-endian, unaligned, sizes asserted.
//!
//! Nothing is checked here; [`Request`](super::Request), [`Event`](super::Event) and
//! [`Response`](super::Response) are the checked forms.

// `KnownLayout` derives a hidden type per field, which the lint takes for ours.
#![allow(missing_debug_implementations)]

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    byteorder::little_endian::{U32, U64},
};

use crate::limits::{CONTEXT_NAME_SIZE, MAX_RESPONSE_SIZE, SEND_HEADER_SIZE};

/// Declares wire structs with the derives every one needs, and asserts each one's size.
macro_rules! wire_structs {
    ($($(#[$meta:meta])* $name:ident($size:expr) {
        $($(#[$field_meta:meta])* $field:ident: $ty:ty,)*
    })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
        #[repr(C)]
        pub struct $name { $($(#[$field_meta])* pub $field: $ty,)* }

        const _: () = assert!(size_of::<$name>() == $size);
    )*};
}

wire_structs! {
    /// First eight bytes of every message.
    CtrlHeader(8) {
        /// A [`MsgType`](super::MsgType).
        kind: U32,
        /// Always 0; not to be confused with the flags of a VFD.
        flags: U32,
    }

    /// VFD_CLOSE, VFD_HUP and VFD_REFRESH: only an id.
    CtrlId(12) {
        /// Common header.
        header: CtrlHeader,
        /// The VFD closed, hung up or asked about.
        vfd_id: U32,
    }

    /// What all messages about a new VFD begin with: VFD_NEW (both directions), VFD_NEW_CTX,
    /// VFD_NEW_PIPE, RESP_VFD_NEW. Drivers send and accept [`CtrlNewNamed`]-sized messages.
    CtrlNew(32) {
        /// Common header.
        header: CtrlHeader,
        /// The VFD; chosen by whoever sends the first message about it.
        vfd_id: U32,
        /// [`VfdFlags`](super::VfdFlags).
        flags: U32,
        /// First page of its memory, in units of 4096 bytes.
        pfn: U64,
        /// Size of its memory in bytes.
        size: U32,
        /// First word of the union that only the longer forms use.
        arm: U32,
    }

    /// Prefix of a [`CtrlNew`] up to the union.
    CtrlNewHead(28) {
        /// Common header.
        header: CtrlHeader,
        /// As in [`CtrlNew`].
        vfd_id: U32,
        /// As in [`CtrlNew`].
        flags: U32,
        /// As in [`CtrlNew`].
        pfn: U64,
        /// As in [`CtrlNew`].
        size: U32,
    }

    /// VFD_NEW_CTX_NAMED.
    CtrlNewNamed(64) {
        /// The common part.
        new: CtrlNewHead,
        /// Name of the context, NUL padded.
        name: [u8; CONTEXT_NAME_SIZE],
        /// Unused.
        reserved: U32,
    }

    /// VFD_NEW_DMABUF and RESP_VFD_NEW_DMABUF.
    CtrlNewDmabuf(64) {
        /// The common part.
        new: CtrlNewHead,
        /// Pixels per row.
        width: U32,
        /// Rows.
        height: U32,
        /// DRM fourcc.
        format: U32,
        /// Bytes per row of each plane.
        strides: [U32; 3],
        /// First byte of each plane.
        offsets: [U32; 3],
    }

    /// Fixed part of VFD_SEND, VFD_SEND_FOREIGN_ID and VFD_RECV; `vfd_count` entries and then the
    /// data follow, up to the end of the buffer.
    CtrlSend(16) {
        /// Common header.
        header: CtrlHeader,
        /// The VFD the data and the entries go to or came from.
        vfd_id: U32,
        /// Number of entries, at most 28.
        vfd_count: U32,
    }

    /// Entry of VFD_SEND_FOREIGN_ID without [`Features::SEND_FENCES`](super::Features).
    ForeignV1(8) {
        /// A [`SendKind`](super::SendKind).
        kind: U32,
        /// VFD id or resource id.
        id: U32,
    }

    /// Entry of VFD_SEND_FOREIGN_ID with [`Features::SEND_FENCES`](super::Features): the natural
    /// layout of a 64-bit guest.
    ForeignV2(16) {
        /// A [`SendKind`](super::SendKind).
        kind: U32,
        /// Unused.
        padding: U32,
        /// VFD id or resource id in the low half, or a fence's sequence number.
        id_or_seqno: U64,
    }

    /// VFD_CREDIT.
    CtrlCredit(16) {
        /// Common header.
        header: CtrlHeader,
        /// The VFD whose balance rises.
        vfd_id: U32,
        /// By how many units, see [`Features::CREDIT`](super::Features::CREDIT).
        units: U32,
    }

    /// VFD_DMABUF_SYNC.
    CtrlSync(16) {
        /// Common header.
        header: CtrlHeader,
        /// The dmabuf's VFD.
        vfd_id: U32,
        /// Bits of the Linux dma-buf sync ioctl: READ 1, WRITE 2, END 4.
        flags: U32,
    }
}

const _: () = {
    assert!(size_of::<CtrlSend>() == SEND_HEADER_SIZE);
    assert!(size_of::<CtrlNewDmabuf>() == MAX_RESPONSE_SIZE);
};
