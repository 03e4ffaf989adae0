//! Files below a prefix, said as they are written.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Where things are installed.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Below `prefix`, itself below `destdir` if there is one.
    pub(super) fn new(prefix: &Path, destdir: Option<&Path>) -> Self {
        let root = match (destdir, prefix.strip_prefix("/")) {
            (Some(destdir), Ok(prefix)) => destdir.join(prefix),
            _ => prefix.to_path_buf(),
        };
        Self { root }
    }

    /// Copies a file.
    pub(super) fn file(&self, from: &Path, to: &Path, mode: u32) -> Result<()> {
        let to = self.replace(to)?;
        fs::copy(from, &to)
            .with_context(|| format!("cannot install {} as {}", from.display(), to.display()))?;
        fs::set_permissions(&to, Permissions::from_mode(mode))
            .with_context(|| to.display().to_string())
    }

    /// Writes a file.
    pub(super) fn text(&self, text: &str, to: &Path) -> Result<()> {
        let to = self.replace(to)?;
        fs::write(&to, text).with_context(|| to.display().to_string())?;
        fs::set_permissions(&to, Permissions::from_mode(0o644))
            .with_context(|| to.display().to_string())
    }

    /// Makes a symbolic link.
    pub(super) fn link(&self, target: &str, to: &Path) -> Result<()> {
        let to = self.replace(to)?;
        symlink(target, &to).with_context(|| to.display().to_string())
    }

    /// Makes way for a file. What is there is removed, not overwritten: a running program or a
    /// mapped library keeps its own.
    fn replace(&self, to: &Path) -> Result<PathBuf> {
        let to = self.root.join(to);
        let directory = to.parent().context("its directory")?;
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        match fs::remove_file(&to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| to.display().to_string());
            }
            _ => println!("{}", to.display()),
        }
        Ok(to)
    }
}
