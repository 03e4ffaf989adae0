//! The library's channels through the real device, without a VM: bytes, descriptors, and the end of
//! everything, seen by a guest and by an ordinary Unix peer on the host.

mod ends;
mod host;
mod memory;
mod mixed;
mod neglect;
mod pipes;
mod setup;
