//! The device's control socket: naming sockets at run time and looking inside.
//!
//! `SOCK_SEQPACKET`, mode 0600. One packet holds one JSON request of at most
//! [`MAX_REQUEST_BYTES`], with at most one descriptor; each is answered by one packet
//! of at most [`MAX_REPLY_BYTES`], in order, at once (also before the guest's driver is
//! ready: a request that waited for a guest to boot could wait for its own sender).
//!
//! | request | descriptor | answer |
//! |---|---|---|
//! | `{"add":{"name":"wl-conn-%d"}}` | connected stream socket | `{"name":"wl-conn-7"}` |
//! | `{"add":{"name":"wl-accept","path":"/run/…"}}` | none | `{"name":"wl-accept"}` |
//! | `{"remove":{"name":"wl-conn-7"}}` | none | `{"name":"wl-conn-7"}` |
//! | `{"list":{}}` | none | [`Listing`] |
//! | `{"queues":{}}` | none | [`QueueListing`] |
//!
//! A refusal is `{"error":{"kind":"name-in-use","message":"…"}}`, see [`ErrorKind`].
//!
//! An entry with a path is *listening*: it is connected to each time the guest opens
//! that context. An entry with a descriptor is *connected*: the first context that
//! opens it consumes it, and it is gone from the listing from then on. `%d` in a name
//! becomes the next number of a counter which never goes back while the device lives,
//! so that no name of one guest's life is ever given twice.

mod client;
mod packet;
mod reply;
mod request;

#[cfg(test)]
mod tests;

pub use client::{Answer, Client, ControlError};
pub use packet::{Packet, bind_listener, receive_packet, send_packet};
pub use reply::{
    Added, ErrorKind, ErrorReply, Listing, QueueEntry, QueueListing, Removed, Reply, SocketEntry,
    SocketKind, Totals, Traffic, VfdEntry,
};
pub use request::{Add, Call, List, Queues, Remove, Request};

/// Largest request in bytes: a path has at most 108, a name 32.
pub const MAX_REQUEST_BYTES: usize = 4096;

/// Largest answer in bytes. A packet must fit the socket's send buffer, whose default
/// is 208 KiB.
pub const MAX_REPLY_BYTES: usize = 128 * 1024;

/// Most VFDs in one [`Listing`], so that it fits [`MAX_REPLY_BYTES`] with room to
/// spare (an entry takes below 400 bytes); [`Listing::next`] says where to go on.
pub const MAX_VFDS_PER_LISTING: usize = 200;
