//! The temporary directory of one run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Keeps the directory of a run (logs, pictures, sockets) when set to anything.
pub const KEEP_VARIABLE: &str = "VIRTIO_WL_TEST_KEEP";

/// A private (0700) temporary directory, removed on drop.
///
/// The path is short, because the path of a Unix socket has 107 bytes at most.
#[derive(Debug)]
pub struct TestDir {
    dir: tempfile::TempDir,
}

impl TestDir {
    /// A new empty directory below `$TMPDIR` (default `/tmp`).
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> Result<Self> {
        let mut dir = tempfile::Builder::new()
            .prefix("vwl-")
            .tempdir()
            .context("cannot make a temporary directory")?;
        if std::env::var_os(KEEP_VARIABLE).is_some() {
            dir.disable_cleanup(true);
        }
        Ok(Self { dir })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path inside it, without making anything.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// A private sub-directory, made when missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn sub(&self, name: impl AsRef<Path>) -> Result<PathBuf> {
        let path = self.join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("cannot set the mode of {}", path.display()))?;
        Ok(path)
    }

    /// Writes a file inside it and says where.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}
