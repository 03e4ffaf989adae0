//! QEMU with the generic vhost-user device: the system's when it is new enough, otherwise one from
//! Debian's archive, unpacked privately.
//!
//! The private one needs a newer C library than Debian 12 has, so it runs with its own loader and
//! libraries; `target/vm/bin/qemu-system-x86_64` hides that.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::apt::Apt;
use super::cache::{self, Cache};
use super::{tool, unpack};

#[cfg(test)]
mod tests;

/// The program.
const PROGRAM: &str = "qemu-system-x86_64";
/// The first version with shared-memory regions in its generic vhost-user device.
const OLDEST: (u32, u32) = (11, 1);
/// That device.
const DEVICE: &str = "vhost-user-test-device-pci";
/// Where Debian has a QEMU that is new enough, and what it depends on.
const SUITES: &[&str] = &["trixie", "trixie-backports"];

/// Makes sure that there is a QEMU, and returns the path to start it by.
///
/// # Errors
/// When none is installed and none can be fetched.
pub(crate) fn ensure(cache: &Cache) -> Result<PathBuf> {
    let path = cache.own("bin").join(PROGRAM);
    if is_usable(&path) {
        return Ok(path);
    }
    cache::create_dir(&cache.own("bin"))?;
    let script = if is_usable(Path::new(PROGRAM)) {
        format!("#!/bin/sh\nexec {PROGRAM} \"$@\"\n")
    } else {
        let root = cache.once("qemu", |root| fetch(cache, root))?;
        wrapper(&root)?
    };
    let partial = cache::partial(&path);
    cache::write(&partial, script)?;
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o755))
        .and_then(|()| fs::rename(&partial, &path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    ensure!(
        is_usable(&path),
        "{} does not start, or lacks the device {DEVICE}",
        path.display()
    );
    Ok(path)
}

/// The version of a QEMU for people, as it says it itself.
///
/// # Errors
/// When it does not start.
pub(crate) fn version_text(qemu: &Path) -> Result<String> {
    let text = tool::text(Command::new(qemu).arg("--version"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Whether a QEMU can be started, is new enough and has the device.
fn is_usable(program: &Path) -> bool {
    let said = |args: &[&str]| {
        let output = Command::new(program).args(args).output().ok()?;
        output.status.success().then_some(())?;
        String::from_utf8(output.stdout).ok()
    };
    let version = said(&["--version"]).and_then(|text| parse_version(&text));
    version.is_some_and(|version| version >= OLDEST)
        && said(&["-device", "help"]).is_some_and(|text| text.contains(DEVICE))
}

/// Major and minor number in `QEMU emulator version 11.1.3 (…)`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let text = text.split_once("version ")?.1;
    let mut numbers = text.split(|character: char| !character.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

fn fetch(cache: &Cache, root: &Path) -> Result<()> {
    println!("     fetching QEMU from Debian (40 MB, once) ...");
    let apt = Apt::open(&cache.shared("debs/qemu"), SUITES)?;
    let packages = apt.download_closure("trixie-backports", "qemu-system-x86")?;
    unpack::new_root(root)?;
    for package in &packages {
        unpack::package(package, root)?;
    }
    Ok(())
}

/// A script that starts the QEMU unpacked in `root`. The modules have no built-in place that fits,
/// and without them there is no virtio-gpu.
fn wrapper(root: &Path) -> Result<String> {
    let root = root.to_str().context("the path of QEMU is not UTF-8")?;
    ensure!(
        !root.contains('\''),
        "the path of QEMU has a quotation mark"
    );
    Ok(format!(
        r#"#!/bin/sh
# Generated: QEMU of another Debian release, with the loader and libraries it was built for.
root='{root}'
export QEMU_MODULE_DIR="$root/usr/lib/x86_64-linux-gnu/qemu"
exec "$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" \
    "$root/usr/bin/{PROGRAM}" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" \
    -L "$root/usr/lib/ipxe/qemu" "$@"
"#
    ))
}
