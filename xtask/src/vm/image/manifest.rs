//! The text that says what an image holds: kernel, files with size and SHA-256, packages with their
//! versions. The images of two machines with equal manifests are equal.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{FILES, disk, size};
use crate::vm::kernel::Kernel;
use crate::vm::tool;

/// Its name, beside the files.
pub(super) const NAME: &str = "manifest";

/// The manifest of the files in `dir`, whose disk was made from `base`.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn text(kernel: &Kernel, base: Option<&Path>, dir: &Path) -> Result<String> {
    let mut text = format!("kernel {}\n", kernel.release());
    for name in FILES {
        let path = dir.join(name);
        if path.exists() {
            let line = format!("{name} {} {}\n", size::of(&path)?, sha256(&path)?);
            text.push_str(&line);
        }
    }
    if let Some(base) = base {
        for (package, version) in disk::packages(base)? {
            text.push_str(&format!("package {package} {version}\n"));
        }
    }
    Ok(text)
}

/// The SHA-256 of a file that may be too large to be read as a whole.
fn sha256(path: &Path) -> Result<String> {
    let line = tool::text(Command::new("sha256sum").arg("--binary").arg(path))?;
    let digest = line
        .split_whitespace()
        .next()
        .context("sha256sum is silent")?;
    Ok(digest.to_owned())
}
