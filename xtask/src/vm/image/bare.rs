//! The image for tests of the kernel driver: init and the self-test.

use anyhow::Result;

use super::{Contents, Inputs, base};

/// Kernel modules, besides what they depend on.
const MODULES: &[&str] = &["virtio_console", "virtio_wl"];

pub(super) fn contents(inputs: &Inputs) -> Result<Contents> {
    let mut tree = base(inputs, MODULES, &[("user", 1000)])?;
    tree.file(
        "usr/bin/virtio-wl-selftest",
        0o755,
        inputs.guest_program("virtio-wl-selftest")?,
    );
    Ok(Contents {
        initramfs: tree,
        disk: None,
        limit: None,
    })
}
