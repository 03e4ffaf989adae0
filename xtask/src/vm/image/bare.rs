//! The image for tests of the kernel driver and for measuring it: init, the self-test, the bench.

use anyhow::Result;

use super::{Contents, Inputs, add_shell, base};

/// Kernel modules, besides what they depend on. Newer kernels have the bus built in.
pub(super) const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_console",
    "evdev",
    "button",
    "virtio_wl",
];

/// What runs in it besides init.
pub(super) const PROGRAMS: [&str; 2] = ["virtio-wl-selftest", "bench-peers"];

pub(super) fn contents(inputs: &Inputs) -> Result<Contents> {
    let mut tree = base(inputs, MODULES, &[("user", 1000)])?;
    for name in PROGRAMS {
        let program = inputs.guest_program(name)?;
        tree.file(&format!("usr/bin/{name}"), 0o755, program);
    }
    add_shell(&mut tree)?;
    Ok(Contents {
        initramfs: tree,
        disk: None,
        limit: None,
    })
}
