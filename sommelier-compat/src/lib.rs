//! Wayland for the applications of an app VM: the client side of the chain, a
//! drop-in for Sommelier.
//!
//! A *relay* at the level of the wire. It stands between a client, which talks
//! to it over an ordinary socket, and the host, which is reached through a
//! virtio_wl device and can be given only memory of that device. So it forwards
//! every message it understands, hides what it does not, and rewrites no more
//! than it must.
//!
//! | module | what | knows |
//! |---|---|---|
//! | [`wire`] | framing, arguments, queues of bytes and descriptors | nothing |
//! | [`objects`] | ids, interfaces and versions, the allow-list | the protocol tables |
//! | [`shm`] | copying clients' pixels into memory of the host | files and mappings |
//! | [`relay`] | one client's protocol state, without input or output | the three above |
//! | [`conn`] | the relay joined to a client's socket and a host connection | sockets, the device |
//! | [`server`] | the event loop, the listening socket, the program | `conn` |
//! | [`args`] | the command line | nothing |
//!
//! `unsafe` is confined to `sys`.

pub mod args;
mod chain;
pub mod conn;
pub mod objects;
pub mod relay;
#[doc(hidden)]
pub mod relay_bytes;
pub mod run;
pub mod server;
pub mod shm;
mod sys;
pub mod wire;
