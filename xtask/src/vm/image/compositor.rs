//! The compositor's image: the compositor, its libraries, keyboard layouts, drivers, init. There is no
//! shell and no other program; the font is in the compositor itself.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Contents, Inputs, add_shell, base};
use crate::vm::tree::Tree;
use crate::vm::{cache, elf};

/// Kernel modules, besides what they depend on.
const MODULES: &[&str] = &[
    "virtio_console",
    "virtio_gpu",
    "evdev",
    "button",
    "virtio_input",
    "virtio_wl",
];
/// The user the compositor runs as.
const USER: (&str, u32) = ("compositor", 900);
/// Largest compressed size in bytes: what is loaded for every start stays small.
const LIMIT: u64 = 64 << 20;
/// Where libxkbcommon looks for keyboard layouts.
const XKB: &str = "usr/share/X11/xkb";
/// The parts of them that layouts are made from; not the pictures of keyboards.
const XKB_PARTS: &[&str] = &["compat", "keycodes", "rules", "symbols", "types"];

pub(super) fn contents(inputs: &Inputs, debug: bool) -> Result<Contents> {
    let mut tree = base(inputs, MODULES, &[USER])?;
    let program = inputs.host_programs()?.path("virtio-wl-compositor")?;
    tree.file(
        "usr/bin/virtio-wl-compositor",
        0o755,
        inputs.stripped(&program)?,
    );
    for library in elf::libraries(&program)? {
        let path = library.to_str().context("path of a library")?;
        tree.file(path.trim_start_matches('/'), 0o755, cache::read(&library)?);
    }
    for part in XKB_PARTS {
        copy(&mut tree, &format!("{XKB}/{part}"))?;
    }
    if debug {
        add_shell(&mut tree)?;
    }
    Ok(Contents {
        initramfs: tree,
        disk: None,
        limit: Some(LIMIT),
    })
}

/// Copies a directory of this machine to the same place.
fn copy(tree: &mut Tree, path: &str) -> Result<()> {
    let entries = fs::read_dir(Path::new("/").join(path))
        .with_context(|| format!("/{path} (Debian package xkb-data)"))?;
    for entry in entries {
        let entry = entry.context("directory entry")?;
        let name = entry.file_name();
        let name = std::str::from_utf8(name.as_bytes()).context("name of a file")?;
        let path = format!("{path}/{name}");
        let kind = entry.file_type().context("kind of a file")?;
        if kind.is_dir() {
            copy(tree, &path)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).context("target of a link")?;
            tree.link(&path, target.to_str().context("target of a link")?);
        } else if !name.ends_with(".xml") && !name.ends_with(".lst") {
            // Those two are for people who choose a layout.
            tree.file(&path, 0o644, cache::read(&entry.path())?);
        }
    }
    Ok(())
}
