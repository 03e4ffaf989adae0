//! `virtio-wl-relay` between app VMs and compositors that know nothing of virtio_wl.

mod clipboard;
mod hostile;
mod labels;
mod restarts;
mod rules;
mod server;
mod setup;
mod weston;
mod windows;
