//! The virtio_wl device as a vhost-user backend.
