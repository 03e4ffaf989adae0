//! The image of app VMs: Debian with programs on a disk, and what starts it.

use anyhow::Result;

use super::disk::Disk;
use super::{Contents, Inputs, base, installed, recipe};

/// The release of Debian.
const SUITE: &str = "bookworm";
/// Size of the disk in MiB.
const SIZE_MIB: u64 = 900;
/// Kernel modules, besides what they depend on. ext4 asks for its checksum by another name than the
/// module's.
const MODULES: &[&str] = &[
    "virtio_console",
    "virtio_blk",
    "evdev",
    "button",
    "crc32c_generic",
    "ext4",
    "virtio_wl",
];
/// Our programs: what windows need, and what tests start there.
const PROGRAMS: &[&str] = &[
    "sommelier",
    "virtio-wl-selftest",
    "pattern-client",
    "hostile-client",
    "connect-client",
];

pub(super) fn contents(inputs: &Inputs) -> Result<Contents> {
    let mut tree = installed(inputs, PROGRAMS)?;
    tree.link("usr/bin/vm-halt", "../sbin/virtio-wl-init");
    Ok(Contents {
        initramfs: base(inputs, MODULES, &[])?,
        disk: Some(Disk {
            system: recipe::system(SUITE, "app")?,
            tree,
            size_mib: SIZE_MIB,
        }),
        limit: None,
    })
}
