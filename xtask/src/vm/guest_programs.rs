//! Building our programs for guests.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use super::cache::Cache;
use crate::cargo::{self, Profile};

/// What runs on another system than the one it is built on: statically linked, so that the guest's C
/// library does not matter.
const PACKAGES: &[&str] = &[
    "bench-peers",
    "guest-init",
    "guest-selftest",
    "sommelier-compat",
    "test-clients",
    "virtio-wl-relay",
];
/// The guests' only target; naming it keeps the flags below away from build scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The statically linked programs.
#[derive(Clone, Debug)]
pub(crate) struct GuestPrograms(PathBuf);

impl GuestPrograms {
    /// Builds them.
    ///
    /// # Errors
    /// When the build fails.
    pub(crate) fn build(cache: &Cache, profile: Profile) -> Result<Self> {
        let dir = cache.own("build");
        let mut command = cargo::cargo();
        command.args(["build", "--quiet", "--locked", "--bins"]);
        command.args(["--target", TARGET, "--target-dir"]).arg(&dir);
        for package in PACKAGES {
            command.args(["--package", package]);
        }
        let kind = match profile {
            Profile::Release => {
                command.arg("--release");
                "release"
            }
            Profile::Debug => "debug",
        };
        command.env("RUSTFLAGS", "-C target-feature=+crt-static");
        command.env_remove("CARGO_ENCODED_RUSTFLAGS");
        let status = command.stdin(Stdio::null()).status();
        ensure!(
            status.context("cannot run cargo")?.success(),
            "the programs for guests do not build"
        );
        Ok(Self::in_dir(dir.join(TARGET).join(kind)))
    }

    /// Those that lie in a directory.
    pub(super) fn in_dir(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// The path of one.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
