//! Serves clients of other virtual machines from any Wayland compositor.
//!
//! The relay runs beside a compositor in the compositor's VM. It accepts the connections that the
//! host announces over virtio_wl, and connects each to the compositor's ordinary socket, so that
//! the compositor need not be linked to anything, nor know of virtual machines. Bytes and
//! descriptors pass both ways, unread: shared memory as it is, pipes by way of ordinary ones, and
//! what the compositor sends as copies that the other VM can map.
//!
//! One thread, one event loop. Each VM gets an epoll instance of its own ([`vm`]), and each turn of
//! the loop serves a bounded number of the VM's events with a bounded number of bytes: the kernel
//! keeps the order among a VM's connections fair, the loop that among VMs.
//!
//! | module | what it is |
//! |---|---|
//! | [`args`] | the command line |
//! | [`display`] | where the compositor listens, by libwayland's rules |
//! | [`appear`] | noticing that it listens, at last or again |
//! | [`passing`] | a client's bytes on their way to the compositor |
//! | [`vm`] | all connections of one VM |
//! | [`relay`] | the event loop's state: accepting, connecting, ending |
//! | [`labels`], [`door`] | telling the compositor which VM a connection comes from |
//! | [`sandbox`] | what the process gives up before it starts |

pub mod appear;
pub mod args;
pub mod display;
pub mod door;
pub mod labels;
pub mod passing;
pub mod relay;
pub mod sandbox;
pub mod vm;
