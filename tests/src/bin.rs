//! Where the binaries are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// A directory with the binaries of the workspace, normally `target/debug` or `target/release`.
#[derive(Clone, Debug)]
pub struct Binaries {
    dir: PathBuf,
}

impl Binaries {
    /// The binaries in `dir`.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The binaries built with the running one: its directory, or the one above for a test
    /// (`target/debug/deps/…`).
    ///
    /// # Errors
    /// When the path of the running binary is unknown.
    pub fn beside_this_one() -> Result<Self> {
        let exe = std::env::current_exe().context("path of the running binary")?;
        let mut dir = exe.parent().unwrap_or(Path::new("/")).to_path_buf();
        if dir.file_name().is_some_and(|name| name == "deps") {
            dir.pop();
        }
        Ok(Self::in_dir(dir))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of one binary.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        if !path.is_file() {
            bail!(
                "{} is missing: run `cargo build --workspace` first",
                path.display()
            );
        }
        Ok(path)
    }
}

/// Looks a program up in `$PATH`.
pub fn in_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}
