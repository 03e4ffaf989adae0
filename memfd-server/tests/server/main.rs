//! The real server, driven by real clients over its sockets.

mod common;
mod daemon;
mod hostile;
mod quota;
