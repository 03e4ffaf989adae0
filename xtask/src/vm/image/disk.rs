//! The disk of a guest: an ext4 file system made from archives, by any user, without mounting.
//!
//! genext2fs puts archives into an old-fashioned file system; then e2fsprogs makes of it what one
//! has today. Each step leaves the same bytes for the same archives. Extended attributes are lost; of
//! Debian's files only some that speak with the network have any.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::vm::apt::control;
use crate::vm::debian::{self, System};
use crate::vm::tree::{Node, Tree};
use crate::vm::{cache, cpio, tool};

#[cfg(test)]
mod tests;

/// Size of a block in bytes.
const BLOCK: u64 = 4096;
/// Files there can be: what Debian has and three times as many.
const INODES: u32 = 65_536;
/// Size of an inode in bytes: with less, times end in 2038, of which the kernel warns.
const INODE_BYTES: &str = "256";
/// Its name, for the guest's /dev/disk and `file`.
const LABEL: &str = "vwl-root";
/// Its identity. There is never more than one of these in a guest.
const UUID: &str = "9d5a9d50-5f0a-4c6b-9f63-5a5f8a1c6e01";
/// Where hashes of names start from. Secret where users could make each other's directories slow.
const HASH_SEED: &str = "9d5a9d50-5f0a-4c6b-9f63-5a5f8a1c6e02";
/// No journal: the disk of a guest that was cut off is thrown away.
const FEATURES: &str = "dir_index,extents,filetype,large_file,sparse_super";

/// What a disk consists of.
#[derive(Debug)]
pub(super) struct Disk {
    /// Debian.
    pub(super) system: System,
    /// What there is besides. Nothing of Debian is replaced.
    pub(super) tree: Tree,
    /// Its size in MiB: what Debian needs and a third of that for the guest to write. What is unused
    /// takes no place on the host.
    pub(super) size_mib: u64,
}

impl Disk {
    /// Writes the file system with `base`, the archive of [`Self::system`], to `place`.
    ///
    /// # Errors
    /// When a tool is missing or fails, or all does not fit.
    pub(super) fn write(&self, base: &Path, place: &Path) -> Result<()> {
        only_new(&self.tree, &paths(base)?)?;
        let besides = place.with_extension("cpio");
        cache::write(&besides, cpio::archive(&self.tree))?;
        let mut genext2fs = tool_of_our_time("genext2fs");
        genext2fs.args(["--block-size", &BLOCK.to_string()]);
        let blocks = (self.size_mib << 20) / BLOCK;
        genext2fs.args(["--size-in-blocks", &blocks.to_string()]);
        genext2fs.args(["--number-of-inodes", &INODES.to_string()]);
        genext2fs.args(["--reserved-percentage", "0", "--volume-label", LABEL]);
        genext2fs.arg("--tarball").arg(base);
        genext2fs.arg("--tarball").arg(&besides);
        tool::output(genext2fs.arg(place))
            .with_context(|| format!("cannot fill a disk of {} MiB", self.size_mib))?;
        cache::remove(&besides)?;
        modernise(place)
    }
}

/// Makes of an ext2 file system an ext4 one.
fn modernise(place: &Path) -> Result<()> {
    let mut debugfs = tool_of_our_time("debugfs");
    debugfs.args([
        "-w",
        "-R",
        &format!("set_super_value hash_seed {HASH_SEED}"),
    ]);
    tool::output(debugfs.arg(place))?;
    let mut tune2fs = tool_of_our_time("tune2fs");
    tool::output(tune2fs.args(["-U", UUID, "-O", FEATURES]).arg(place))?;
    check(place, "-yD")?;
    let mut tune2fs = tool_of_our_time("tune2fs");
    tool::output(tune2fs.args(["-I", INODE_BYTES]).arg(place))?;
    // It changes nothing any more but the time of this check.
    check(place, "-y")?;
    check(place, "-n")
}

/// Runs e2fsck. Only its last word counts: asked to repair, it also says that it has.
fn check(place: &Path, how: &str) -> Result<()> {
    /// Exit status of e2fsck that has repaired everything it found.
    const REPAIRED: i32 = 1;
    let mut e2fsck = tool_of_our_time("e2fsck");
    e2fsck.args(["-f", how]).arg(place);
    let output = tool::any_output(&mut e2fsck)?;
    let good = output.status.success() || how != "-n" && output.status.code() == Some(REPAIRED);
    ensure!(
        good,
        "the new file system is damaged:\n{}",
        tool::last_lines(&String::from_utf8_lossy(&output.stdout))
    );
    Ok(())
}

/// A tool that believes it is always the same time.
fn tool_of_our_time(program: &str) -> Command {
    let mut command = tool::administrative(program);
    for variable in ["SOURCE_DATE_EPOCH", "E2FSPROGS_FAKE_TIME", "E2FSCK_TIME"] {
        command.env(variable, debian::EPOCH.to_string());
    }
    command
}

/// genext2fs silently leaves out what is already there, so that is found out before.
fn only_new(tree: &Tree, base: &BTreeSet<String>) -> Result<()> {
    for (path, entry) in tree.iter() {
        ensure!(
            entry.node == Node::Directory || !base.contains(path),
            "/{path} is in Debian already"
        );
    }
    Ok(())
}

/// The paths in an archive, without slash at either end.
fn paths(archive: &Path) -> Result<BTreeSet<String>> {
    let mut tar = Command::new("tar");
    tar.args(["--list", "--quoting-style=literal", "--file"]);
    let list = tool::text(tar.arg(archive))?;
    let plain = |line: &str| {
        line.trim_start_matches("./")
            .trim_end_matches('/')
            .to_owned()
    };
    Ok(list.lines().map(plain).collect())
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
