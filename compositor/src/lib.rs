//! A Wayland compositor for a VM of its own, whose clients are other VMs.
//!
//! Each VM gets a Wayland display of its own; nothing of Wayland crosses from
//! one to another. Around every window the compositor draws a frame with the
//! VM's name and colour, outside anything the client can reach.
//!
//! * [`args`], [`config`]: the command line, as typed and checked
//! * [`control`]: the control socket and `ctl`
//! * [`core`]: windows, focus, stacking, grabs; no Wayland, no Smithay
//! * [`frame`]: labels, borders and their pixels
//! * [`input`]: what the user does; [`keymap`]: which keys type which text
//! * [`state`]: the parts together, and what the control socket may do
//! * [`run`]: the event loop; `pacing`: when a frame is drawn
//! * `vm`: one VM's Wayland display; `vms`: all of them and their connections
//! * `devices`: the machine's keyboards and mice
//! * `share`: how much of the compositor's time a VM gets
//! * `bridge`: bytes and descriptors between a connection and a display
//! * `listener`: where connections come from
//! * `render`: windows to pixels; `backend`: where the pixels go

pub mod args;
mod backend;
mod bridge;
pub mod config;
pub mod control;
pub mod core;
mod devices;
pub mod frame;
pub mod input;
pub mod keymap;
pub mod label;
mod listener;
mod pacing;
mod render;
pub mod run;
pub mod screenshot;
mod share;
pub mod state;
mod sys;
mod vm;
mod vms;

pub use backend::DisplayLost;

#[cfg(test)]
mod tests;
