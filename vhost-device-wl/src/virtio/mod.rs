//! The virtio_wl personality: its messages and virtqueues on top of the core.
//!
//! | module | job |
//! |---|---|
//! | [`ring`] | taking buffers from a virtqueue and giving them back, however malformed |
//! | [`requests`] | one request of the guest → core → response |
//! | [`inbox`] | messages to the guest: order, space, and who neglects its share |
//! | [`credit`] | how much each VFD may still send, for drivers that say so |
//! | [`late`] | messages finished late because their peer does not read |
//! | [`device`] | one turn of a worker: requests in, messages out, who to notify |
//! | [`counters`] | what happened, for the operator |

pub mod counters;
pub mod credit;
pub mod device;
pub mod inbox;
pub mod late;
pub mod requests;
pub mod ring;
