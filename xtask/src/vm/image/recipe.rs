//! The parts of Debian systems, as they are described in `guest/image`.

use std::fs;

use anyhow::{Context as _, Result};

use crate::cargo;
use crate::vm::debian::System;

/// Where they are described, below the root of the workspace.
const DIRECTORY: &str = "guest/image";
/// What all are set up with first.
const COMMON: &str = "debian.setup";

/// The system `name` of a release: `NAME.packages` says what is in it, `NAME.setup` finishes it.
///
/// # Errors
/// When one of both cannot be read.
pub(super) fn system(suite: &'static str, name: &str) -> Result<System> {
    let packages = text(&format!("{name}.packages"))?;
    Ok(System {
        suite,
        packages: packages_in(&packages).map(str::to_owned).collect(),
        setup: text(COMMON)? + &text(&format!("{name}.setup"))?,
    })
}

/// The text of a part.
fn text(name: &str) -> Result<String> {
    let path = cargo::root().join(DIRECTORY).join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The packages in a list with comments.
fn packages_in(list: &str) -> impl Iterator<Item = &str> {
    let lines = list.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}
