//! Byte and file descriptor passing between virtual machines over virtio_wl.
//!
//! virtio_wl is a virtio device through which a guest reaches stream sockets of its host: it opens a
//! *context* by name, gets a connection, and passes bytes and descriptors over it, as over a Unix
//! socket. A descriptor of virtio_wl is called a *VFD*: a connection, an end of a pipe, or shared
//! memory. Nothing else can travel; what can be converted is, when it is sent.
//!
//! # For guests
//!
//! A [`Device`] is opened once. What it hands out are ordinary file descriptors to poll, with
//! sendmsg(2) and recvmsg(2) as methods:
//!
//! ```no_run
//! use std::{
//!     io::{IoSlice, IoSliceMut},
//!     os::fd::AsFd,
//! };
//!
//! use virtio_wl::{Device, MsgFlags, Vfd};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // $VIRTIO_WL_DEVICE, or /dev/wl0; "vhost-user:PATH" needs no VM.
//! let device = Device::open()?;
//! // An event loop polls event_fd() and calls dispatch() instead.
//! device.spawn_dispatcher()?;
//!
//! // A page that the receiver and this process share.
//! let memory = device.allocate(4096)?;
//! memory.map()?.write(0, b"pixels")?;
//!
//! let channel = device.connect("")?;
//! channel.send(
//!     &[IoSlice::new(b"look: ")],
//!     &[memory.as_fd()],
//!     MsgFlags::empty(),
//! )?;
//!
//! let mut answer = [0; 64];
//! let mut fds: Vec<Vfd> = Vec::new();
//! let count = channel.recv(
//!     &mut [IoSliceMut::new(&mut answer)],
//!     &mut fds,
//!     MsgFlags::empty(),
//! )?;
//! println!("{count} bytes and {} descriptors", fds.len());
//! # Ok(())
//! # }
//! ```
//!
//! A program that serves other guests, such as a compositor, accepts connections that its host
//! announces, each with the name and the colour the host gives to the guest it comes from:
//!
//! ```no_run
//! use std::io::ErrorKind;
//!
//! use virtio_wl::{Device, accept_record::ACCEPT_CONTEXT};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::open()?;
//! let listener = device.listen(ACCEPT_CONTEXT)?;
//! // Whenever the listener is readable:
//! match listener.accept() {
//!     Ok((_channel, peer)) => println!("a window of {} in {}", peer.vm_name, peer.colour),
//!     Err(error) if error.kind() == ErrorKind::WouldBlock => {}
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! | module | what it is | knows |
//! |---|---|---|
//! | [`wire`] | the messages, as bytes and as checked values; for guests and for the device | bytes |
//! | [`limits`] | every size and limit, with its reason | nothing |
//! | `driver` | the seam below the API: the guest kernel's driver, or this process as the guest | [`wire`] |
//! | `device`, `channel`, `vfd`, `memory`, `listener` | the API above the seam | the seam |
//! | [`bare`] | the same calls for layers that give descriptors away | the API |
//! | `stream`, `handle`, `wait`, `dispatcher` | what they are made of | the seam |
//! | `convert`, `pump` | what is no VFD, and how it is sent all the same | the seam |
//! | `memory_server`, [`memfd_request`] | memory by request, with the host's quota | a connection |
//! | [`accept_record`], [`label`] | connections by announcement, with the host's labels | nothing |
#![cfg_attr(
    feature = "program",
    doc = "| [`program`] | what the `main` of each program does | nothing |"
)]
#![cfg_attr(
    feature = "host",
    doc = "| [`host`] | what host daemons share | [`label`] and the records |"
)]
//! | `address`, `error` | which device to open; what can go wrong | nothing |
//!
//! # Features
//!
//! * `user-driver` (on by default): the embedded driver behind `vhost-user:PATH`.
//! * `host`: what host daemons share; guests need none of it.
//! * `program`: logging and the last line of an error, for programs of this repository.
//!
//! # Rules that hold everywhere
//!
//! Whatever comes from the other side, message or descriptor, is copied once and checked once
//! before it is acted on; it can cost its sender the connection, and nobody else anything. Every
//! queue and table has a bound, named in [`limits`]. No call blocks on a peer unless it says so.
//! Errors with system call semantics are [`std::io::Error`]s with an errno; [`Error`] says what was
//! attempted.

pub mod accept_record;
mod address;
pub mod bare;
mod channel;
mod convert;
mod device;
mod dispatcher;
mod driver;
mod error;
mod handle;
#[cfg(feature = "host")]
pub mod host;
pub mod label;
pub mod limits;
mod listener;
mod mapping;
pub mod memfd_request;
mod memory;
mod memory_server;
#[cfg(feature = "program")]
pub mod program;
mod pump;
mod stream;
mod vfd;
mod wait;
pub mod wire;

pub use self::{
    address::{AddressError, DEVICE_VARIABLE, DeviceAddress},
    channel::{Channel, MsgFlags},
    device::Device,
    driver::DriverStats,
    error::{Error, Result},
    listener::{Listener, Peer},
    mapping::Mapping,
    memory::Memory,
    vfd::Vfd,
    wire::{ContextName, PipeDirection, VfdKind},
};
