//! The name and colour a VM's windows carry: host knowledge, never a client's.

pub use virtio_wl::label::{Colour, LabelError, VmName};
