//! Tells a Wayland compositor which virtual machine its clients come from.
//!
//! With the protocol `wp_security_context_v1` a program hands a compositor a listening socket and
//! says what the clients are that connect to it. Compositors show that in their rules, and keep
//! what is dangerous (taking pictures of the screen, typing, ...) from such clients. Here a VM is
//! said to be
//!
//! | field | value |
//! |---|---|
//! | sandbox engine | `virtio-wl` ([`SANDBOX_ENGINE`]) |
//! | app id | the VM's name, such as `work` |
//! | instance id | the VM's id in decimal, such as `7` |
//!
//! each as the host says it, never a guest. One listening descriptor per VM, since the compositor
//! knows clients by the descriptor they came through.
//!
//! # Use
//!
//! Somebody with a thread to spare calls [`announce`], which waits until the compositor has
//! confirmed, and keeps the [`Context`] it gets:
//!
//! ```no_run
//! use std::os::unix::net::{UnixListener, UnixStream};
//! use std::time::{Duration, Instant};
//!
//! use virtio_wl::label::{VmId, VmName};
//! use virtio_wl_security_context::{Error, Identity, announce};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // An ordinary connection to the compositor, not one of a VM.
//! let display = UnixStream::connect("/run/user/1000/wayland-0")?;
//! let listener = UnixListener::bind("/run/user/1000/vm-7")?;
//! let work = Identity::new(&VmName::new("work")?, VmId(7));
//! let deadline = Instant::now() + Duration::from_secs(5);
//! match announce(display, &listener, &work, deadline) {
//!     // The compositor accepts from `listener` until this is dropped.
//!     Ok(context) => drop(context),
//!     Err(Error::Unsupported) => eprintln!("this compositor knows no security contexts"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! An event loop keeps an [`Announcer`] instead, which never waits, and whose descriptor hangs up
//! when the compositor ends.
//!
//! The descriptor need not be a socket as far as this library goes: it is passed on as it is. What
//! compositors do with it: wlroots insists that fstat(2) calls it a socket and that
//! `getsockopt(SO_ACCEPTCONN)` is 1, polls it for reading, and calls accept4(2) or accept(2) on it
//! whenever it is readable.
//!
//! All I/O is done in the calling thread: by wayland-client's own backend, which makes raw system
//! calls that an interposing library does not see, and by recv(2) and poll(2) of libc on the
//! connection to the compositor, which is an ordinary socket.

mod announcer;
mod blocking;
mod context;
mod identity;

pub use self::{
    announcer::{Announcer, Error},
    blocking::announce,
    context::Context,
    identity::{Identity, SANDBOX_ENGINE},
};

#[cfg(test)]
mod tests;
