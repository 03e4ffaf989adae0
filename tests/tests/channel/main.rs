//! The library's channels through the real device, without a VM: bytes, descriptors, and the end of
//! everything, seen by a guest and by an ordinary Unix peer on the host.

mod accept;
mod ends;
mod host;
mod memory;
mod memory_server;
mod mixed;
mod neglect;
mod pipes;
mod setup;
