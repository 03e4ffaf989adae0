//! The units for systemd that lie beside the programs: systemd's own word on them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use integration_tests::bin;

use super::report::Report;
use crate::cargo;

/// Directories of units, and whether they are for the manager of a user.
const DIRECTORIES: [(&str, bool); 4] = [
    ("memfd-server/systemd", false),
    ("wl-accept-proxy/systemd", false),
    ("guest/systemd/system", false),
    ("guest/systemd/user", true),
];

/// Where units look for our programs.
const PROGRAMS: &str = "/usr/bin/";

/// Verifies them, if there is a systemd here.
pub(super) fn check(report: &mut Report) -> Result<()> {
    if bin::in_path("systemd-analyze").is_none() {
        report.skip("systemd units: systemd-analyze is not installed (Debian package systemd)");
        return Ok(());
    }
    let dir = cargo::target_dir()?.join("test-units");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
    }
    fs::create_dir_all(dir.join("bin")).with_context(|| dir.display().to_string())?;
    for user in [false, true] {
        let mut units = Vec::new();
        for (directory, _) in DIRECTORIES.iter().filter(|(_, for_user)| *for_user == user) {
            units.extend(copy_units(&cargo::root().join(directory), &dir)?);
        }
        let mut analyze = Command::new("systemd-analyze");
        // Without the last one, warnings about the units would not count.
        analyze.args(["verify", "--man=no", "--recursive-errors=no"]);
        analyze.args(&units);
        // It wants one, and makes nothing in it.
        analyze.env("XDG_RUNTIME_DIR", &dir);
        if user {
            analyze.arg("--user");
        }
        let name = if user { "user units" } else { "system units" };
        report.check(name, analyze)?;
    }
    Ok(())
}

/// Copies units, with programs that are there: ours are not installed where they are verified.
fn copy_units(from: &Path, to: &Path) -> Result<Vec<PathBuf>> {
    let mut units = Vec::new();
    let entries = fs::read_dir(from).with_context(|| from.display().to_string())?;
    for entry in entries {
        let path = entry.context("a unit")?.path();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let start = format!("ExecStart={PROGRAMS}");
        for line in text.lines() {
            let Some(program) = line.strip_prefix(&start) else {
                continue;
            };
            let name = program.split(' ').next().unwrap_or_default();
            let stand_in = to.join("bin").join(name);
            if !stand_in.exists() {
                symlink("/bin/true", &stand_in).context("a stand-in of a program")?;
            }
        }
        let unit = to.join(entry_name(&path)?);
        let text = text.replace(&start, &format!("ExecStart={}/bin/", to.display()));
        fs::write(&unit, text).with_context(|| unit.display().to_string())?;
        units.push(unit);
    }
    units.sort();
    Ok(units)
}

fn entry_name(path: &Path) -> Result<&std::ffi::OsStr> {
    path.file_name().context("name of a unit")
}
