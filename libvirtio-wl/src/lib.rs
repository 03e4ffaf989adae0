//! Byte and file descriptor passing between virtual machines over virtio_wl.
