//! The device without its protocol: named sockets, descriptors and what they
//! are, memory and where the guest sees it, quotas, per-connection queues and
//! fairness. Nothing here knows a message layout or a virtqueue, so a second
//! personality can stand on it.
//!
//! | module | job |
//! |---|---|
//! | [`names`] | what a guest can connect to; shared with the control socket |
//! | [`quota`] | VFDs and queued bytes of one VM |
//! | [`account`] | memory of one VM, until its last holder is gone |
//! | [`descriptor`] | what a received descriptor is |
//! | [`memory`] | creating, sealing, copying and recycling shared memory |
//! | [`window`] | page ranges of the shared memory region |
//! | [`outqueue`] | what a slow peer has not taken yet |
//! | [`stream`] | a connection or pipe: reading, writing, hanging up |
//! | [`watch`] | which host descriptors are ready |
//! | [`session`] | one guest's VFDs and everything it can do with them |

pub mod account;
pub mod descriptor;
pub mod memory;
pub mod names;
pub mod outqueue;
pub mod quota;
pub mod session;
pub mod stream;
mod sys;
pub mod watch;
pub mod window;

pub(crate) use sys::{borrow, number, own};
