//! Harness for tests, the demo and the benches: several real processes together.
//!
//! Everything is done as a user would do it: the real binaries, their command lines, their
//! configuration files and their sockets, all below one temporary directory. Nothing here knows
//! a wire format.
//!
//! | module | what |
//! |---|---|
//! | [`dir`] | the temporary directory of one run |
//! | [`again`] | a test that runs in a process of its own |
//! | [`bin`] | where the binaries are |
//! | [`notify`] | a `NOTIFY_SOCKET`: readiness as an event |
//! | [`process`] | [`Daemon`], [`Talk`]: spawn, wait until ready, stop, log |
//! | [`chain`] | [`Chain`]: memory server, devices, accept proxy, compositor for N app VMs |
//! | [`foot`] | the terminal that the picture tests use, with all that varies fixed |
//! | [`app`] | programs in an app VM, under `sommelier` |
//! | `attack` | a hostile client beside honest ones |
//! | [`ctl`] | the compositor's control socket: screenshot, windows, input |
//! | [`foreign`] | compositors of Debian in the place of ours |
//! | [`preload`] | servers that know nothing of virtio_wl, in the compositor's place |
//! | [`picture`] | PNG pictures: read, compare, difference picture |
//! | [`leak`] | descriptors, child processes and files left behind |
//! | [`screen`] | a screen that gives pictures, embedded or of a VM |
//! | [`vm`] | real VMs under QEMU |
//! | [`scm`] | descriptors over a Unix socket |
//! | [`skip`] | tests that cannot run here say so and are counted |
//! | [`wait`] | deadlines on events |
//! | [`wire`] | a Wayland client made of bytes |
//!
//! Every wait has a deadline, and every process dies with the thread that started it, so a
//! failing test leaves nothing running.

pub mod again;
pub mod app;
mod attack;
pub mod bin;
pub mod chain;
pub mod ctl;
pub mod dir;
pub mod foot;
pub mod foreign;
pub mod leak;
pub mod notify;
pub mod picture;
pub mod preload;
pub mod process;
pub mod scm;
pub mod screen;
pub mod skip;
mod sys;
pub mod vm;
pub mod wait;
pub mod wire;

pub use bin::Binaries;
pub use chain::{AppVm, Chain, ChainBuilder, VmSpec};
pub use ctl::CompositorCtl;
pub use dir::TestDir;
pub use picture::Picture;
pub use process::{Command, Daemon, Talk};
