//! Real VMs under QEMU: booted, talked to, looked at and stopped.
//!
//! A test is three lines:
//!
//! ```no_run
//! # use integration_tests::vm::Vm;
//! # fn test() -> anyhow::Result<()> {
//! let Some(vm) = Vm::bare()? else { return Ok(()) }; // no image: says so, and is counted
//! vm.run(["virtio-wl-selftest", "device: opens"])?.success()?;
//! vm.stop()
//! # }
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`assets`] | where QEMU and the images are |
//! | [`builder`] | a VM to be made |
//! | [`qemu`] | the command line of QEMU |
//! | [`qmp`] | QEMU's monitor: screenshots, keys, hot-plug |
//! | [`guest`] | the guest's init: programs, kernel log, power |
//! | [`program`] | a program that runs in a guest |
//! | [`device`] | the `vhost-device-wl` of a VM without a chain |
//! | [`dmesg`] | what a kernel's log must not hold |
//! | [`keys`] | text as keys of a keyboard |
//! | [`screen`] | the screen of a compositor VM, through QEMU |
//! | [`chain`] | [`VmChain`]: the whole chain with real VMs |
//! | [`console`] | a terminal joined to the shell of a guest |
//! | [`remains`] | what is kept of a VM whose test failed |
//!
//! A [`Vm`] that is dropped without [`Vm::stop`] belongs to a failed test: it is killed, and its
//! console, its kernel's log and the output of its programs are kept and shown.

use std::time::Duration;

pub mod assets;
pub mod builder;
pub mod chain;
pub mod console;
pub mod device;
pub mod dmesg;
pub mod guest;
pub mod keys;
mod lines;
mod machine;
pub mod program;
pub mod qemu;
pub mod qmp;
mod remains;
pub mod screen;

pub use assets::{Assets, Image};
pub use builder::VmBuilder;
pub use chain::{VmChain, VmChainBuilder};
pub use machine::Vm;
pub use program::Program;
pub use screen::VmScreen;

/// How long one step in a guest may take: a boot, a program's end. Emulated on a busy machine all
/// is twenty to a hundred times slower than on the host. It only bounds a hang.
pub const STEP: Duration = Duration::from_secs(120);

/// How long a VM may live, unless its builder says otherwise: longer than any test takes.
pub const LIFE: Duration = Duration::from_secs(600);

/// The life of a VM that a person uses: longer than anybody leaves guests running.
pub const ENDLESS: Duration = Duration::from_secs(7 * 24 * 60 * 60);
