//! The virtio_wl device as a vhost-user backend.
//!
//! | module | job | knows about |
//! |---|---|---|
//! | [`args`] | the command line | – |
//! | [`core`] | named sockets, descriptors, memory, quotas, queues, fairness | the host |
//! | [`virtio`] | virtio_wl messages and virtqueues on top of the core | core, wire |
//! | [`backend`] | one frontend: vhost-user requests, guest memory, threads | virtio |
//! | [`server`] | the listening socket: one backend per frontend | backend |

pub mod args;
pub mod backend;
pub mod core;
pub mod server;
pub mod virtio;
