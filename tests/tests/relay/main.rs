//! `virtio-wl-relay` between app VMs and compositors that know nothing of virtio_wl.

mod setup;
mod weston;
