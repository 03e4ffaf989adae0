//! Building our kernel module, `guest/virtio_wl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::cache::{self, Cache};
use super::digest::Digest;
use super::kernel::Kernel;
use super::tool;
use crate::cargo;

/// Its name.
const NAME: &str = "virtio_wl";

/// Builds the module for a kernel, unless neither it nor the kernel has changed. A warning of the
/// compiler is an error.
///
/// # Errors
/// When it does not build without a warning.
pub(crate) fn build(cache: &Cache, kernel: &Kernel) -> Result<PathBuf> {
    let source = cargo::root().join("guest").join(NAME);
    let files = source_files(&source)?;
    let mut digest = Digest::new();
    digest.add("kernel", kernel.release());
    for file in &files {
        digest.add(
            &file.display().to_string(),
            cache::read(&source.join(file))?,
        );
    }
    let stamp = digest.finish();
    let dir = cache.own(&format!("module-{}", kernel.release()));
    let (module, stamp_file) = (dir.join(format!("{NAME}.ko")), dir.join("stamp"));
    if module.exists() && fs::read_to_string(&stamp_file).is_ok_and(|old| old == stamp) {
        return Ok(module);
    }
    // Built in a copy: the kernel's build system writes beside the sources.
    cache::remove(&dir)?;
    for file in &files {
        let place = dir.join(file);
        cache::create_dir(place.parent().unwrap_or(&dir))?;
        fs::copy(source.join(file), &place)
            .with_context(|| format!("cannot copy {}", file.display()))?;
    }
    println!("     building {NAME}.ko for {} ...", kernel.release());
    make(kernel, &dir)?;
    tool::output(Command::new("strip").arg("--strip-debug").arg(&module))?;
    cache::write(&stamp_file, stamp)?;
    Ok(module)
}

/// Runs the kernel's build system.
fn make(kernel: &Kernel, dir: &Path) -> Result<()> {
    let mut command = Command::new("make");
    command.arg("-C").arg(kernel.build());
    command.arg(format!("M={}", dir.display()));
    // BTF needs the kernel's own, uncompressed, and a tool that is not everywhere.
    command.args(["CONFIG_DEBUG_INFO_BTF_MODULES=", "W=1"]);
    // The same module wherever it is built: its build ID covers the paths in its debugging data.
    command.arg(format!("KCFLAGS=-ffile-prefix-map={}=.", dir.display()));
    command.args(["V=0", "modules"]);
    // Variables of an outer make, or of a cross build, are not meant for this one.
    for name in ["MAKEFLAGS", "MAKELEVEL", "ARCH", "CROSS_COMPILE", "CFLAGS"] {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C.UTF-8");
    command.stdin(std::process::Stdio::null());
    let output = command
        .output()
        .map_err(|error| tool::cannot_run(command.get_program(), &error))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(
        output.status.success(),
        "{NAME}.ko does not build:\n{}",
        tool::last_lines(&said)
    );
    let warnings: Vec<&str> = said.lines().filter(|line| is_warning(line)).collect();
    ensure!(
        warnings.is_empty(),
        "{NAME}.ko builds with warnings:\n{}",
        warnings.join("\n")
    );
    Ok(())
}

/// Whether a line of the build is a warning about our code.
fn is_warning(line: &str) -> bool {
    // The kernel itself was built with another minor version of the compiler: true on every machine.
    let about_compiler = line.starts_with("warning: the compiler differs");
    line.to_ascii_lowercase().contains("warning:") && !about_compiler
}

/// The sources, relative to their directory, sorted.
fn source_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        let entries = fs::read_dir(&next).with_context(|| next.display().to_string())?;
        for entry in entries {
            let path = entry.context("directory entry")?.path();
            let is_source = path.extension().is_some_and(|end| end == "c" || end == "h")
                || path.file_name().is_some_and(|name| name == "Kbuild");
            if path.is_dir() {
                dirs.push(path);
            } else if is_source {
                files.push(
                    path.strip_prefix(dir)
                        .context("path of a source")?
                        .to_owned(),
                );
            }
        }
    }
    ensure!(!files.is_empty(), "{} has no sources", dir.display());
    files.sort();
    Ok(files)
}
