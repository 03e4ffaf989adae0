//! The messages of virtio_wl, as bytes and as checked values.
//!
//! | direction | queue | type |
//! |---|---|---|
//! | guest to device | `out`, readable part | [`Request`] |
//! | device to guest, as the answer | `out`, writable part | [`Response`] |
//! | device to guest, unasked | `in` | [`Event`] |
//!
//! Whoever parses first copies the message out of memory the peer can write, then calls `parse` on
//! the copy: every rule about lengths, ids, counts and flags has been applied to the value returned.
//! What a number *refers to* (whether a VFD exists, say) is the caller's to check.
//!
//! All integers are little-endian. Layouts are in [`layout`]. There is no specification of this
//! device; the facts come from the published kernel drivers and devices, and `PROTOCOL.md` beside
//! this crate writes them down.

mod error;
mod event;
mod id;
pub mod layout;
mod name;
mod request;
mod response;
mod types;

#[cfg(test)]
mod tests;

pub use self::{
    error::ParseError,
    event::{Event, encode_recv_head},
    id::VfdId,
    name::{ContextName, NameError},
    request::{Request, SendItem, encode_send_head},
    response::Response,
    types::{
        DmabufLayout, DmabufSync, Features, MemoryRange, MsgType, PipeDirection, SendKind,
        VfdFlags, VfdInfo, VfdKind,
    },
};
