//! Unpacking Debian packages into a directory of our own, without installing them.

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::{cache, tool};

/// Directories that Debian has only below /usr, while some packages still say otherwise.
const MERGED: &[&str] = &["bin", "lib", "lib64", "sbin"];

/// Creates `dir` as the root of a file system with the merged directories.
///
/// # Errors
/// When that is not possible.
pub(crate) fn new_root(dir: &Path) -> Result<()> {
    for name in MERGED {
        cache::create_dir(&dir.join("usr").join(name))?;
        symlink(Path::new("usr").join(name), dir.join(name))
            .with_context(|| format!("cannot create a link in {}", dir.display()))?;
    }
    Ok(())
}

/// Unpacks a package over what `root` holds, below the user's own identity.
///
/// # Errors
/// When the package is damaged or the disk is full.
pub(crate) fn package(file: &Path, root: &Path) -> Result<()> {
    let program = OsStr::new("dpkg-deb");
    let mut reader = Command::new(program)
        .arg("--fsys-tarfile")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| tool::cannot_run(program, &error))?;
    let archive = reader.stdout.take().context("output of dpkg-deb")?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--keep-directory-symlink", "--no-same-owner"]);
    let written = tar.arg("--directory").arg(root).stdin(archive).output();
    let read = reader.wait().context("waiting for dpkg-deb")?;
    let written = written.map_err(|error| tool::cannot_run(OsStr::new("tar"), &error))?;
    ensure!(
        read.success() && written.status.success(),
        "cannot unpack {}: {}",
        file.display(),
        tool::last_lines(&String::from_utf8_lossy(&written.stderr))
    );
    Ok(())
}
