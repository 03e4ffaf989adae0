//! Byte and file descriptor passing between virtual machines over virtio_wl.

pub mod accept_record;
pub mod label;
pub mod memfd_request;
