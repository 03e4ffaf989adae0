//! `libvirtio_wl_preload.so.1`: lets unmodified compositors serve clients of other VMs.
//!
//! The library stands between a compositor and libc. Calls on ordinary descriptors go through: libc is
//! always asked first, and only what it refuses because the descriptor is no socket is looked at. If it
//! is a VFD, the call is done over virtio_wl. Nothing is kept by number, so that duplicates, numbers
//! used again, children and descriptors passed on need no attention.
//!
//! README.md tells how to use it, and `virtio_wl_preload(7)` what it does with each call.
//!
//! | module | what it is | knows |
//! |---|---|---|
//! | `entry` | the exported functions, by what they are about | all below |
//! | `real` | the functions of libc behind them | nothing |
//! | `boundary` | panics, errno, and calls of our own | nothing |
//! | `options` | what getsockopt(2) says of a connection | nothing |
//! | `presence` | whether there can be VFDs at all | nothing |
//! | `listening` | listeners that are epoll sets | `real` |
//! | `takeover` | a listening socket becoming one; the thread that fills it | `listening` |
//!
//! What the calls do on a VFD is the business of [`virtio_wl_posix`], which `libvirtio_wl.so.1` shares.

mod boundary;
mod entry;
mod listening;
mod options;
mod presence;

mod real;
mod takeover;
