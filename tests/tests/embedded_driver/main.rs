//! The embedded driver against the real device: no VM, everything else as it is.

mod bench;
mod endings;
mod pressure;
mod sys;
mod traffic;
