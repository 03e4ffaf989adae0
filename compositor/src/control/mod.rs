//! The control socket: pictures, lists and input for tests and for `ctl`.
//!
//! Whoever may open the socket (mode 0600) is trusted with the screen and the
//! keyboard. It is nevertheless served without blocking and within bounds,
//! because a stuck test must not freeze a screen.
//!
//! * [`protocol`]: requests and replies
//! * [`listen`]: the server's side
//! * [`Client`]: the other side, and [`ctl`], the subcommand on top of it

mod client;
mod commands;
mod connection;
pub mod ctl;
pub mod protocol;
mod server;
mod socket;
mod wait;

#[cfg(test)]
mod tests;

pub use client::{Client, ClientError};
pub use server::listen;
pub use socket::BoundSocket;
