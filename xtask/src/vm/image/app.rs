//! The image of app VMs: Debian with programs on a disk, and what starts it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Contents, Disk, Inputs, base};
use crate::cargo;
use crate::vm::apt::control;
use crate::vm::tree::{Node, Owner, Tree};
use crate::vm::{cache, debian, tool};

/// Kernel modules, besides what they depend on. ext4 asks for its checksum by another name than the
/// module's.
const MODULES: &[&str] = &[
    "virtio_console",
    "virtio_blk",
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
/// The user whose programs run there.
const USER: Owner = Owner {
    uid: 1000,
    gid: 1000,
};

pub(super) fn contents(inputs: &Inputs) -> Result<Contents> {
    let list = cargo::root().join("guest/image/app.packages");
    let list = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let packages: Vec<&str> = packages_in(&list).collect();
    let base_archive = debian::archive(inputs.cache(), &packages)?;
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
    tree.directory("home/user", 0o700, USER);
    Ok(Contents {
        initramfs: base(inputs, MODULES, &[])?,
        disk: Some(Disk {
            base: base_archive,
            tree,
        }),
        limit: None,
    })
}

/// The packages in a list with comments.
fn packages_in(list: &str) -> impl Iterator<Item = &str> {
    let lines = list.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Name and version of each package in an archive with Debian.
pub(super) fn packages(archive: &Path) -> Result<Vec<(String, String)>> {
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--to-stdout", "--file"])
        .arg(archive);
    let status = tool::text(tar.arg("./var/lib/dpkg/status"))?;
    Ok(control::stanzas(&status)
        .iter()
        .filter_map(|stanza| {
            let (name, version) = (stanza.get("Package")?, stanza.get("Version")?);
            Some((name.to_owned(), version.to_owned()))
        })
        .collect())
}

/// Writes the file system of a disk.
pub(super) fn write_disk(disk: &Disk, place: &Path) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the app image can only be made by root"
    );
    let root = place.with_extension("tree");
    cache::create_dir(&root)?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--same-owner", "--numeric-owner", "--file"]);
    tool::output(tar.arg(&disk.base).arg("--directory").arg(&root))?;
    for (path, entry) in disk.tree.iter() {
        let to = root.join(path);
        match &entry.node {
            Node::Directory if to.exists() => continue,
            Node::Directory => cache::create_dir(&to)?,
            Node::File(bytes) => cache::write(&to, bytes)?,
            Node::Link(target) => {
                symlink(target, &to).context("link")?;
                continue;
            }
        }
        fs::set_permissions(&to, fs::Permissions::from_mode(entry.mode.into()))
            .and_then(|()| chown(&to, Some(entry.owner.uid), Some(entry.owner.gid)))
            .with_context(|| to.display().to_string())?;
    }
    for (file, line) in [
        ("etc/passwd", "user:x:1000:1000::/home/user:/bin/bash\n"),
        ("etc/group", "user:x:1000:\n"),
    ] {
        let path = root.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        cache::write(&path, text + line)?;
    }
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.args(["-q", "-t", "ext4", "-O", "^has_journal", "-L", "vwl-app"]);
    mke2fs.args(["-E", "lazy_itable_init=1,root_owner=0:0", "-d"]);
    tool::output(mke2fs.arg(&root).arg(place).arg("900M"))?;
    cache::remove(&root)
}
