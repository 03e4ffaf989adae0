//! Joins a client's connection to its VM's display.
//!
//! Smithay's backend reads a client with raw system calls on a real socket, and
//! for as long as the client keeps writing. So each client gets a socket pair of
//! its own: one end is the display's, the other is fed here, a few
//! kilobytes per turn of the loop, with every message header checked and every
//! descriptor accounted for.
//!
//! * `messages`: requests on their way to the display, and their budget
//! * `source`: a link (see [`virtio_wl_bridge`]) on the event loop

mod messages;
mod source;

pub(crate) use source::{LinkId, LinkSource, LinkState};
