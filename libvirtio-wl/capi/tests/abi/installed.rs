//! The files of `cargo xtask install`, in a directory of this test's own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use integration_tests::Binaries;

/// Where everything is installed, once for all tests of this process.
#[derive(Debug)]
pub(crate) struct Installed {
    prefix: PathBuf,
}

impl Installed {
    pub(crate) fn get() -> Result<&'static Self> {
        static INSTALLED: OnceLock<Result<Installed, String>> = OnceLock::new();
        let installed = INSTALLED.get_or_init(|| Self::new().map_err(|error| format!("{error:#}")));
        installed
            .as_ref()
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    fn new() -> Result<Self> {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capi-prefix");
        if prefix.exists() {
            std::fs::remove_dir_all(&prefix).context("what an earlier run has left")?;
        }
        let mut xtask = Command::new(Binaries::beside_this_one()?.path("xtask")?);
        // As for a user, but with what the tests were built with.
        xtask.args(["install", "--debug", "--no-build", "--only", "libraries"]);
        let output = xtask
            .arg("--prefix")
            .arg(&prefix)
            .output()
            .context("xtask")?;
        ensure!(output.status.success(), "xtask install: {output:?}");
        Ok(Self { prefix })
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.prefix.join(path)
    }

    /// `pkg-config`, which finds our file.
    pub(crate) fn pkg_config(&self, args: &[&str]) -> Result<Vec<OsString>> {
        let output = Command::new("pkg-config")
            .env("PKG_CONFIG_PATH", self.path("lib/pkgconfig"))
            .args(args)
            .arg("virtio-wl")
            .output()
            .context("pkg-config")?;
        ensure!(output.status.success(), "pkg-config: {output:?}");
        let text = String::from_utf8(output.stdout).context("pkg-config")?;
        Ok(text.split_whitespace().map(OsString::from).collect())
    }
}

#[test]
fn packagers_get_a_tree_of_their_own() -> Result<()> {
    let dir = integration_tests::TestDir::new()?;
    let mut xtask = Command::new(Binaries::beside_this_one()?.path("xtask")?);
    xtask.args(["install", "--debug", "--no-build", "--prefix", "/usr"]);
    xtask.args([
        "--libdir",
        "lib/triplet",
        "--only",
        "libraries",
        "--destdir",
    ]);
    let output = xtask.arg(dir.join("stage")).output().context("xtask")?;
    ensure!(output.status.success(), "xtask install: {output:?}");
    let usr = dir.join("stage/usr");
    for file in [
        "include/virtio_wl.h",
        "lib/triplet/libvirtio_wl.a",
        "lib/triplet/libvirtio_wl.so.1",
        "share/man/man3/virtio_wl_connect.3",
    ] {
        ensure!(usr.join(file).is_file(), "{file}");
    }
    let link = std::fs::read_link(usr.join("lib/triplet/libvirtio_wl.so"))?;
    ensure!(link == Path::new("libvirtio_wl.so.1"), "{}", link.display());
    let pc = std::fs::read_to_string(usr.join("lib/triplet/pkgconfig/virtio-wl.pc"))?;
    ensure!(pc.contains("libdir=/usr/lib/triplet\n"), "{pc}");
    Ok(())
}
