//! Joins Wayland connections that come over virtio_wl to ordinary sockets.
//!
//! For programs that take connections of virtual machines: a compositor whose own backend insists
//! on real sockets, and the relay in front of any other. Each connection gets a [`Link`]: what the
//! client sends passes an [`Inbound`] to the display's socket, what the display answers goes back,
//! both bounded, a few kilobytes per turn of the caller's event loop. Nothing here blocks on a
//! peer, and whatever a client does costs only its own connection.
//!
//! | module | what it is |
//! |---|---|
//! | [`host`] | connections announced by the host, on a calloop loop; the device may come and go |
//! | [`transport`] | what a connection must be able to do |
//! | `connection`, `keymaps` | connections over virtio_wl, and what is sent over them |
//! | [`unix`] | ordinary sockets, both as a connection and as the display's side |
//! | [`inbound`] | what happens to a client's bytes before the display sees them |
//! | `outbound` | the other direction, bounded |
//! | [`link`] | the two directions together, without an event loop |

mod connection;
pub mod host;
pub mod inbound;
mod keymaps;
pub mod link;
mod outbound;
pub mod transport;
pub mod unix;

pub use self::{
    connection::{Connection, Share},
    host::{Host, Server},
    inbound::{Chunk, Inbound},
    link::{End, Link, Turn, Want},
    transport::Transport,
};
