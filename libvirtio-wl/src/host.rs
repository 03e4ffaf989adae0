//! What the host daemons share (feature `host`).
//!
//! * [`control`]: the device's control socket: request and answer types, packets, client
//! * [`ledger`]: accounting of memory handed out, by watching it live and die
//! * [`sandbox`]: giving up files, the network and system calls that are not needed

pub mod control;
pub mod ledger;
pub mod sandbox;
mod sys;
