//! The virtio_wl device as a vhost-user backend.
//!
//! | module | job | knows about |
//! |---|---|---|
//! | [`args`], [`config`] | the command line, checked | – |
//! | [`core`] | named sockets, descriptors, memory, quotas, queues, fairness | the host |
//! | [`virtio`] | virtio_wl messages and virtqueues on top of the core | core, wire |
//! | [`backend`] | one frontend: vhost-user requests, guest memory, threads | virtio |
//! | [`server`] | the listening socket: one backend per frontend | backend |
//! | [`control`] | naming sockets at run time, looking inside | server |
//! | [`ctl`] | the asking side of it | – |
//! | [`sandbox`] | rights given up after start | – |
//! | `model` | a guest and its peers from a list of operations, for tests and fuzzing | all |
//! | [`daemon`] | the process: sockets, signals, the accept loop | all |
//!
//! # Threads
//!
//! The main thread accepts frontends. Each frontend has a worker, which carries out
//! turns ([`virtio::device::Device::turn`]), a thread that serves the frontend's own
//! requests, and one that waits for it to leave. The control socket has a thread. A
//! worker may wait for its frontend (to map memory); nobody waits for a worker.

pub mod args;
pub mod backend;
pub mod config;
pub mod control;
pub mod core;
pub mod ctl;
pub mod daemon;
#[cfg(any(test, feature = "test-util"))]
pub mod model;
pub mod sandbox;
pub mod server;
pub mod virtio;
