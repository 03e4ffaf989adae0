//! Sealed shared memory for virtual machines, with quotas.
//!
//! Each VM has a listening socket of its own, and that socket *is* the VM's identity.
//! A request names a size; the answer is a memfd of exactly that size that can neither
//! shrink nor grow nor be executed. What a VM holds is charged to its account until the
//! last descriptor and mapping anywhere is gone, which the host sees for itself.
//!
//! | module | what it is |
//! |---|---|
//! | [`config`] | the configuration file |
//! | [`session`] | one connection, without I/O: bytes in, requests out, replies in, bytes out |
//! | [`bucket`] | request rate, without a clock of its own |
//! | [`service`] | one request: quota, memory, watch |
//! | [`server`] | sockets, timers and signals around them |
//! | [`sandbox`] | what the process gives up once it listens |
//!
//! Over its rate a VM is *paced*: its requests stay unread until their turn, so a client
//! that waits for its answers needs no retry, and nobody else is held up. Over its quota
//! it is answered `EDQUOT` and may go on asking.

pub mod bucket;
pub mod config;
pub mod sandbox;
pub mod server;
pub mod service;
pub mod session;
