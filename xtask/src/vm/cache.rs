//! Where downloads and images are kept, and how half-finished ones are never taken for complete.
//!
//! ```text
//! target/vm/bin/qemu-system-x86_64     the QEMU to use
//! target/vm/images/<name>/             see `image`
//! target/vm/build/                     cargo's directory for what runs in guests
//! <cache>/debs/                        downloaded packages and apt's lists, private
//! <cache>/qemu/                        QEMU, unpacked
//! <cache>/kernel/                      the guests' kernel and what its modules are built with
//! <cache>/debian/                      root file systems of Debian, as archives
//! ```
//!
//! `<cache>` is `target/vm`, or what `VIRTIO_WL_VM_CACHE` names, to share the downloads among
//! checkouts.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::cargo;

/// Names the directory for downloads, when it is not `target/vm`.
const CACHE_VARIABLE: &str = "VIRTIO_WL_VM_CACHE";

/// The directories.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    own: PathBuf,
    shared: PathBuf,
}

impl Cache {
    /// The directories of this checkout.
    ///
    /// # Errors
    /// When they cannot be created.
    pub(crate) fn open() -> Result<Self> {
        let own = cargo::target_dir()?.join("vm");
        let shared = match std::env::var_os(CACHE_VARIABLE) {
            Some(dir) if !dir.is_empty() => {
                std::path::absolute(dir).context("path of the cache for VMs")?
            }
            _ => own.clone(),
        };
        Self::in_dirs(own, shared)
    }

    /// Directories of our choice.
    ///
    /// # Errors
    /// When they cannot be created.
    pub(crate) fn in_dirs(own: PathBuf, shared: PathBuf) -> Result<Self> {
        for dir in [&own, &shared] {
            create_dir(dir)?;
        }
        Ok(Self { own, shared })
    }

    /// A place of this checkout alone.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        self.own.join(name)
    }

    /// A place for what was downloaded.
    pub(crate) fn shared(&self, name: &str) -> PathBuf {
        self.shared.join(name)
    }

    /// The path of a download, fetched when it is not there yet: `fill` gets a new path and makes a
    /// directory or file there, which is moved to its place only when all went well. Of several
    /// processes one fetches and the others wait for it.
    ///
    /// # Errors
    /// Those of `fill`, and when the result cannot be moved.
    pub(crate) fn once(
        &self,
        name: &str,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let place = self.shared(name);
        if place.exists() {
            return Ok(place);
        }
        let _lock = self.lock()?;
        if place.exists() {
            return Ok(place);
        }
        let partial = partial(&place);
        remove(&partial)?;
        if let Some(parent) = place.parent() {
            create_dir(parent)?;
        }
        fill(&partial)?;
        fs::rename(&partial, &place)
            .with_context(|| format!("cannot move {} to its place", partial.display()))?;
        Ok(place)
    }

    /// Held while things of this checkout are made: of several processes one makes them, and the others
    /// wait for it.
    ///
    /// # Errors
    /// When the file cannot be created or locked.
    pub(crate) fn making(&self) -> Result<File> {
        lock(&self.own("making"))
    }

    /// Held while something is fetched.
    fn lock(&self) -> Result<File> {
        lock(&self.shared.join("lock"))
    }
}

/// Opens and locks a file; closing it unlocks. Waits for another holder, and says so.
///
/// # Errors
/// When the file cannot be created or locked.
fn lock(path: &Path) -> Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    if let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
        println!("     waiting for another cargo xtask to finish ...");
    }
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Where something is made before it is moved to `place`: beside it, so that moving is atomic.
pub(crate) fn partial(place: &Path) -> PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    place.with_file_name(name)
}

/// Writes a file so that it is there as a whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    let partial = partial(path);
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Creates a directory and its parents.
///
/// # Errors
/// When that is not possible.
pub(crate) fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

/// Removes a file or a directory with all it holds, if it is there.
///
/// # Errors
/// When it cannot be removed.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    result.with_context(|| format!("cannot remove {}", path.display()))
}

/// Reads a file, naming it in the error.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
