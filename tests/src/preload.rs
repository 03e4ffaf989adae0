//! Servers that know nothing of virtio_wl, in the compositor's place: with the interposing library
//! before libc.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::bin::Binaries;
use crate::chain::{COMPOSITOR, Chain};
use crate::process::Command;

/// The library in the directory of the binaries.
const LIBRARY: &str = "libvirtio_wl_preload.so";

/// Runtime directory of the compositor's VM, where its sockets are.
const RUNTIME_DIR: &str = "desktop";

/// Where the library is.
///
/// # Errors
/// When it has not been built.
pub fn library(binaries: &Binaries) -> Result<PathBuf> {
    binaries
        .path(LIBRARY)
        .context("cargo build --package virtio-wl-preload --lib")
}

impl Chain {
    /// Runtime directory of the compositor's VM when an ordinary program is the compositor.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn desktop(&self) -> Result<PathBuf> {
        self.paths().dir().sub(RUNTIME_DIR)
    }

    /// Puts a command where it can serve the app VMs, on its socket `listen` there (a name, a path or
    /// `auto`).
    ///
    /// # Errors
    /// When the library has not been built.
    pub fn serving(&self, command: Command, listen: impl AsRef<OsStr>) -> Result<Command> {
        Ok(self
            .in_desktop(command)?
            .env("LD_PRELOAD", library(self.binaries())?)
            .env("VIRTIO_WL_LISTEN", listen))
    }

    /// Puts a command where the compositor's programs are, with its device and without the library.
    ///
    /// # Errors
    /// When the runtime directory cannot be made.
    pub fn in_desktop(&self, command: Command) -> Result<Command> {
        let device = format!("vhost-user:{}", self.paths().device(COMPOSITOR).display());
        Ok(
            crate::app::guest_environment(command, &self.desktop()?)
                .env("VIRTIO_WL_DEVICE", device),
        )
    }
}

/// The library under the name that programs linked with it look for, and will find.
///
/// # Errors
/// When it has not been built.
pub fn linked_name(chain: &Chain) -> Result<PathBuf> {
    let name = chain.paths().dir().join(format!("{LIBRARY}.1"));
    std::os::unix::fs::symlink(library(chain.binaries())?, &name).context("link to the library")?;
    Ok(name)
}

/// Builds a C program of the tests against libwayland-server, with `options` before it. Its libraries may
/// be beside it.
///
/// # Errors
/// When there is no compiler or the program has faults.
pub fn compile(
    chain: &Chain,
    sources: &[impl AsRef<OsStr>],
    name: &str,
    options: &[&OsStr],
) -> Result<PathBuf> {
    let program = chain.paths().dir().join(name);
    let command = Command::new(format!("cc-{name}"), "cc", chain.log_dir())
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-g"])
        .args(["-Wl,-rpath,$ORIGIN", "-o"])
        .arg(&program)
        .args(sources)
        .args(options)
        .arg("-lwayland-server");
    let (status, log) = command.run()?;
    anyhow::ensure!(status.success(), "cc: {status}\n{log}");
    Ok(program)
}
