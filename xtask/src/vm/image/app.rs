//! The image of app VMs: Debian with programs on a disk, and what starts it.

use std::fs;

use anyhow::{Context as _, Result};

use super::disk::Disk;
use super::{Contents, Inputs, base};
use crate::cargo;
use crate::vm::debian::System;
use crate::vm::tree::Tree;

/// Where its parts are described, below the root of the workspace.
const RECIPES: &str = "guest/image";

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
    let mut tree = Tree::new();
    tree.file(
        "usr/sbin/virtio-wl-init",
        0o755,
        inputs.guest_program("virtio-wl-init")?,
    );
    for program in PROGRAMS {
        let path = format!("usr/bin/{program}");
        tree.file(&path, 0o755, inputs.guest_program(program)?);
    }
    tree.link("usr/bin/vm-halt", "../sbin/virtio-wl-init");
    Ok(Contents {
        initramfs: base(inputs, MODULES, &[])?,
        disk: Some(Disk {
            system: System {
                packages: packages_in(&recipe("app.packages")?)
                    .map(str::to_owned)
                    .collect(),
                setup: recipe("app.setup")?,
            },
            tree,
        }),
        limit: None,
    })
}

/// The text of a part.
fn recipe(name: &str) -> Result<String> {
    let path = cargo::root().join(RECIPES).join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The packages in a list with comments.
fn packages_in(list: &str) -> impl Iterator<Item = &str> {
    let lines = list.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}
