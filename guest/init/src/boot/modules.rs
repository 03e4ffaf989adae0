//! Kernel modules of the image.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};

/// Where an image has its modules, as `NN-name.ko`.
pub(crate) const DIRECTORY: &str = "/lib/modules/virtio-wl";

/// Loads all modules in the order of their names. One that cannot be loaded is told, and the
/// others are tried: its hardware may be missing, which some modules say by failing.
pub(crate) fn load_all(directory: &Path) {
    let modules = match in_order(directory) {
        Ok(modules) => modules,
        Err(error) => return tracing::info!("no modules in {}: {error}", directory.display()),
    };
    for path in modules {
        match load(&path) {
            Ok(()) => tracing::debug!("loaded {}", path.display()),
            Err(error) => tracing::warn!("cannot load {}: {error}", path.display()),
        }
    }
}

fn load(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    match finit_module(&file, c"", ModuleInitFlags::empty()) {
        // Loaded before, or part of this kernel.
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The modules of a directory: by their numbers, and without one last.
fn in_order(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut modules = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ko") {
            modules.push(path);
        }
    }
    modules.sort_by_cached_key(|path| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let number = name
            .split_once('-')
            .and_then(|(number, _)| number.parse().ok());
        (number.unwrap_or(u32::MAX), name)
    });
    Ok(modules)
}

#[cfg(test)]
mod tests;
