//! The compositor as a whole, with real clients, in one process and one thread.
//!
//! * [`fixture`]: the compositor on its loop, with test sockets as VMs
//! * [`client`]: a well-behaved client (`wayland-client`) that records what it hears
//! * [`wire`]: a hostile client that writes any bytes it likes
//! * [`hostile`]: that client with the usual objects, and a neighbour to be left alone
//!
//! Nothing here sleeps: every wait is for an event, with a deadline.

mod client;
mod fixture;
mod hostile;
mod wire;

mod clipboard;
mod content;
mod floods;
mod input;
mod lifecycle;
mod malformed;
mod monitor;
mod popups;
mod windows;
