//! What the two programs of this package share: `virtio-wl-selftest`, which runs in a guest, and
//! `selftest-peer`, which it talks to on the host.

pub mod peer;
