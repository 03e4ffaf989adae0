//! The functions of libc that this library puts itself before. Nothing else is exported.

mod connections;
mod files;
mod memory;
mod streams;
