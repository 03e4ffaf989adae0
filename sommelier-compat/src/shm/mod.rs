//! Shared memory: from a client's file to memory that the host can map.
//!
//! Nothing here knows the wire. [`memory`] allocates, [`arena`] divides,
//! [`mod@file`] is the client's side, [`damage`] says what changed, [`copy`] moves
//! it, [`mod@format`] knows the pixel formats.

pub mod arena;
pub mod copy;
pub mod damage;
pub mod file;
pub mod format;
pub mod memory;
