//! The C ABI of virtio-wl: `libvirtio_wl.so.1`, `libvirtio_wl.a` and `virtio_wl.h`.
//!
//! C programs include `virtio_wl.h`, which is made from these sources (`cargo xtask header`), so the
//! documentation of each function here is its manual there. This crate adds no behaviour: it checks
//! pointers, stops panics and speaks errno around `virtio_wl_posix`.
//!
//! | module | what |
//! |---|---|
//! | `entry` | the boundary every function passes: panics, errno, error detail |
//! | `pointer` | all conversions of what C hands in or gets back |
//! | `failure` | an errno with the words for it |
//! | `connection` | connect, listen, accept4, accept_peer |
//! | `peer` | the layout of `struct virtio_wl_peer` |
//! | `message` | send, sendmsg, recv, recvmsg |
//! | `memory` | memfd_create, mmap, mremap, munmap |
//! | `pipe`, `vfd` | pipe2, is_vfd |
//! | `version` | what was compiled against, what is running |
//!
//! # Conventions
//!
//! * Names are those of libc with `virtio_wl_` in front, and so are signatures, flags and errno values
//!   wherever libc has such a function.
//! * A failed call returns -1 (`MAP_FAILED` for addresses) and sets `errno`. A successful one leaves
//!   `errno` alone.
//! * A pointer that must not be NULL gives `EFAULT` when it is; else it must point to what the function
//!   is documented to take, for the time of the call. Outputs are written on success only.
//! * Descriptors that are returned belong to the caller, who closes them with close(2). Those that are
//!   passed are borrowed.
//! * Every function may be called from every thread at any time. None is async-signal-safe.

#![allow(
    clippy::missing_safety_doc,
    reason = "the documentation is that of the header: what C promises is its conventions, above"
)]

mod connection;
mod entry;
mod failure;
mod memory;
mod message;
mod peer;
mod pipe;
mod pointer;
mod version;
mod vfd;

pub use self::{
    connection::*, entry::*, memory::*, message::*, peer::*, pipe::*, version::*, vfd::*,
};
