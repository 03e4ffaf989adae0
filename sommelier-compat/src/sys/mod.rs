//! The system calls that need `unsafe` or raw descriptors: shared mappings,
//! the descriptors that travel over sockets, and what happens in a new process
//! before its program starts.
#![allow(unsafe_code)]

mod mapping;
mod process;
mod socket;

pub(crate) use mapping::Mapping;
pub(crate) use process::Inherited;
pub(crate) use socket::{connect, inherited_socket, receive, send};
