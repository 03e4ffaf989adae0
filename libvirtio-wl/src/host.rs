//! What the host daemons share (feature `host`).
//!
//! * [`config`]: a daemon's configuration file, read at its start and on SIGHUP
//! * [`control`]: the device's control socket: request and answer types, packets, client
//! * [`ledger`]: accounting of memory handed out, by watching it live and die
//! * [`listener`]: Unix listening sockets: rights, stale files, socket activation
//! * [`sandbox`]: giving up files, the network and system calls that are not needed

pub mod config;
pub mod control;
pub mod ledger;
pub mod listener;
pub mod sandbox;
mod sys;
