//! The image of compositor VMs with a compositor of Debian's in place of ours: Debian on a disk, and
//! what starts it. Debian 13, as 12 has only one of these compositors in a version of today.

use anyhow::Result;

use super::disk::Disk;
use super::{Contents, Inputs, base, installed, recipe};

/// The release of Debian.
const SUITE: &str = "trixie";
/// Size of the disk in MiB.
const SIZE_MIB: u64 = 1100;
/// Kernel modules, besides what they depend on: those of the compositor's image, and those of a disk.
const MODULES: &[&str] = &[
    "virtio_console",
    "virtio_blk",
    "virtio_gpu",
    "evdev",
    "button",
    "virtio_input",
    "crc32c_generic",
    "ext4",
    "virtio_wl",
];
/// The library that lets these compositors listen to virtio_wl: its package, and its place.
const PRELOAD: (&str, &str) = (
    "virtio-wl-preload",
    "usr/lib/x86_64-linux-gnu/libvirtio_wl_preload.so.1",
);
/// Our programs: what serves those that the library cannot, and what tests start there.
const PROGRAMS: &[&str] = &["virtio-wl-relay", "pattern-client"];

pub(super) fn contents(inputs: &Inputs) -> Result<Contents> {
    let mut tree = installed(inputs, PROGRAMS)?;
    let (package, path) = PRELOAD;
    tree.file(path, 0o755, inputs.library(package)?);
    Ok(Contents {
        initramfs: base(inputs, MODULES, &[])?,
        disk: Some(Disk {
            system: recipe::system(SUITE, "desktop")?,
            tree,
            size_mib: SIZE_MIB,
        }),
        limit: None,
    })
}
