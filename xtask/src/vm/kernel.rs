//! The guests' kernel: Debian's 6.12, with what its modules are built with; and the oldest one that
//! our driver is for, 6.1, to test it.
//!
//! The modules of Debian 12's own kernel lack the DMA buffers that programs of today want, and the
//! cloud flavour has no screen. From the backports the plain 6.12 is built with Debian 12's own
//! compiler, so our module is built with it too.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::apt::Apt;
use super::cache::{self, Cache};
use super::unpack;

/// Depends on the newest kernel's package.
const IMAGE: &str = "linux-image-amd64";
/// Name of the file with the release, written last.
const RELEASE: &str = "release";

/// Which of Debian's kernels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Version {
    /// 6.12 of the backports.
    Usual,
    /// Debian 12's own 6.1.
    Oldest,
}

impl Version {
    /// All.
    pub(crate) const ALL: [Self; 2] = [Self::Usual, Self::Oldest];

    /// The suite that has it.
    fn suite(self) -> &'static str {
        match self {
            Self::Usual => "bookworm-backports",
            Self::Oldest => "bookworm",
        }
    }

    /// Where it is kept in the cache.
    fn place(self) -> &'static str {
        match self {
            Self::Usual => "kernel",
            Self::Oldest => "kernel-6.1",
        }
    }
}

/// An unpacked kernel.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    root: PathBuf,
    release: String,
}

impl Kernel {
    /// The kernel, fetched if it is not there yet.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub(crate) fn ensure(cache: &Cache, version: Version) -> Result<Self> {
        let root = cache.once(version.place(), |root| fetch(cache, version, root))?;
        Self::unpacked(root)
    }

    /// A kernel unpacked in `root`.
    ///
    /// # Errors
    /// When it is not complete.
    pub(super) fn unpacked(root: PathBuf) -> Result<Self> {
        let release = cache::read(&root.join(RELEASE))?;
        let release = String::from_utf8(release).context("release of the kernel")?;
        Ok(Self { root, release })
    }

    /// As `uname -r` says it.
    pub(crate) fn release(&self) -> &str {
        &self.release
    }

    /// The image to boot.
    pub(crate) fn vmlinuz(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.release))
    }

    /// Its modules.
    pub(crate) fn modules(&self) -> PathBuf {
        self.root.join("usr/lib/modules").join(&self.release)
    }

    /// What modules are built with: the directory for `make -C`.
    pub(crate) fn build(&self) -> PathBuf {
        headers(&self.root, &self.release)
    }
}

fn headers(root: &Path, release: &str) -> PathBuf {
    root.join(format!("usr/src/linux-headers-{release}"))
}

fn fetch(cache: &Cache, version: Version, root: &Path) -> Result<()> {
    let suite = version.suite();
    println!("     fetching a kernel for the guests from Debian's {suite} (115 MB, once) ...");
    let apt = Apt::open(
        &cache.shared("debs/kernel"),
        &Version::ALL.map(Version::suite),
    )?;
    let image = apt.show(suite, IMAGE)?;
    let image = image
        .relations("Depends")
        .find(|name| name.starts_with("linux-image-"))
        .with_context(|| format!("{IMAGE} depends on no kernel"))?
        .to_owned();
    let release = image.trim_start_matches("linux-image-");
    let headers_package = format!("linux-headers-{release}");
    let dependencies = apt.show(suite, &headers_package)?;
    let mut packages = vec![image.as_str(), &headers_package];
    packages.extend(
        dependencies
            .relations("Depends")
            .filter(|name| name.ends_with("-common") || name.starts_with("linux-kbuild-")),
    );
    unpack::new_root(root)?;
    for file in apt.download(suite, &packages)? {
        unpack::package(&file, root)?;
    }
    relocate(&headers(root, release))?;
    cache::write(&root.join(RELEASE), release)
}

/// The headers' makefile includes another one by its absolute path: makes that relative to itself,
/// so that it works wherever it has been unpacked.
fn relocate(headers: &Path) -> Result<()> {
    let path = headers.join("Makefile");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let relative = "include $(dir $(lastword $(MAKEFILE_LIST)))../";
    cache::write(&path, text.replace("include /usr/src/", relative))
}
