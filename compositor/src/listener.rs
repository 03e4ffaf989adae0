//! Where clients come from.
//!
//! * [`host`]: connections of VMs, announced by the host over virtio_wl
//! * [`test_socket`]: ordinary sockets that stand for a VM

pub(crate) mod host;
pub(crate) mod test_socket;
