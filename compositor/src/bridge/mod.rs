//! Joins a client's connection to its VM's display.
//!
//! Smithay's backend reads a client with raw system calls on a real socket, and
//! for as long as the client keeps writing. So each client gets a socket pair of
//! its own: one end is the display's, the other is fed here, a few
//! kilobytes per turn of the loop, with every message header checked and every
//! descriptor accounted for.
//!
//! * [`Transport`]: what a connection must be able to do
//! * `inbound`: bytes and descriptors on their way to the display, and their budget
//! * `outbound`: the other direction, bounded
//! * `channel`, `keymaps`: connections over virtio_wl; `unix`: over ordinary sockets
//! * `link`: the two together on the event loop

mod channel;
mod inbound;
mod keymaps;
mod link;
mod outbound;
mod transport;
mod unix;

pub(crate) use channel::Connection;
pub(crate) use keymaps::Keymaps;
pub(crate) use link::{Link, LinkId, LinkState};
pub(crate) use transport::Transport;
