//! Root file systems of Debian, made once and kept as archives; nothing is mounted.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::apt::sources;
use super::cache::Cache;
use super::digest::Digest;
use super::tool;

/// The release.
const SUITE: &str = "bookworm";
/// No file is newer than this, in seconds since 1970: the day is of no meaning, but always the same.
pub(crate) const EPOCH: u32 = 1_735_689_600;
/// What a guest has no use for.
const EXCLUDED: &[&str] = &[
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
];
/// The name under which its inputs go into the digest that names an archive.
const MARK: &str = "debian";

/// The archive of a minimal Debian with some packages, made when there is none yet with the same ones.
///
/// # Errors
/// When mmdebstrap is missing or fails, for example without a network.
pub(crate) fn archive(cache: &Cache, packages: &[&str]) -> Result<PathBuf> {
    let mut digest = Digest::new();
    for part in [&[SUITE][..], packages, EXCLUDED].concat() {
        digest.add(MARK, part);
    }
    let name = format!("debian/{}.tar", &digest.finish()[..16]);
    cache.once(&name, |file| make(file, packages))
}

fn make(file: &Path, packages: &[&str]) -> Result<()> {
    println!("     making a root file system of Debian (a minute, once) ...");
    let mirror = sources::mirror();
    let mut command = Command::new("mmdebstrap");
    command.env("SOURCE_DATE_EPOCH", EPOCH.to_string());
    command.env("LC_ALL", "C.UTF-8");
    command.args(["--quiet", "--format=tar", "--variant=minbase"]);
    command.args(["--architectures=amd64", "--components=main"]);
    command.arg(if nix::unistd::geteuid().is_root() {
        "--mode=root"
    } else {
        "--mode=unshare"
    });
    // Device nodes are the kernel's; maintainer scripts of these packages need no /proc.
    command.arg("--skip=chroot/mount,output/dev,check/empty");
    command.arg(format!("--include={}", packages.join(",")));
    command.arg("--aptopt=APT::Install-Recommends \"false\"");
    for path in EXCLUDED {
        command.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    command.arg(SUITE).arg(file);
    for suite in [SUITE.to_owned(), format!("{SUITE}-updates")] {
        command.arg(format!("deb {mirror} {suite} main"));
    }
    tool::output(&mut command).with_context(|| {
        format!("cannot make a root file system from {mirror} (is there a network? without root, mmdebstrap also needs the package uidmap and a line in /etc/subuid)")
    })?;
    Ok(())
}
