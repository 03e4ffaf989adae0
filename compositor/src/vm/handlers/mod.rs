//! One file per protocol.

mod compositor;
mod data_device;
mod decoration;
pub(super) mod globals;
mod output;
mod seat;
mod shm;
mod viewporter;
mod xdg_shell;
