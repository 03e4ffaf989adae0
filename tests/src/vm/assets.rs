//! Where QEMU and the images are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use guest_control::Role;

use crate::bin::Binaries;
use crate::skip;

/// What makes all that is missing.
const COMMAND: &str = "cargo xtask image --profile debug compositor desktop app bare bare-6.1";

/// An image of a guest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Image {
    /// The compositor and nothing else.
    Compositor,
    /// The same with a shell.
    CompositorDebug,
    /// A Debian root file system with compositors of Debian's.
    Desktop,
    /// A Debian root file system with applications.
    App,
    /// The kernel of [`Self::App`] with a small initial RAM file system; no disk.
    Bare,
    /// The same with the oldest kernel our driver is for.
    BareOldest,
}

impl Image {
    /// Name of its directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compositor => "compositor",
            Self::CompositorDebug => "compositor-debug",
            Self::Desktop => "desktop",
            Self::App => "app",
            Self::Bare => "bare",
            Self::BareOldest => "bare-6.1",
        }
    }

    /// What its init is told to be.
    pub fn role(self) -> Role {
        match self {
            Self::Compositor | Self::CompositorDebug | Self::Desktop => Role::Compositor,
            Self::App => Role::App,
            Self::Bare | Self::BareOldest => Role::Bare,
        }
    }

    fn has_disk(self) -> bool {
        matches!(self, Self::App | Self::Desktop)
    }
}

/// The files of one image.
#[derive(Clone, Debug)]
pub struct ImageFiles {
    /// Linux.
    pub kernel: PathBuf,
    /// Initial RAM file system.
    pub initramfs: PathBuf,
    /// Root file system, never written to.
    pub disk: Option<PathBuf>,
}

impl ImageFiles {
    fn all(&self) -> impl Iterator<Item = &Path> {
        let disk = self.disk.iter().map(PathBuf::as_path);
        [self.kernel.as_path(), &self.initramfs]
            .into_iter()
            .chain(disk)
    }

    /// Size of all files in bytes.
    ///
    /// # Errors
    /// When one is missing.
    pub fn bytes(&self) -> Result<u64> {
        self.all()
            .map(|path| {
                Ok(path
                    .metadata()
                    .with_context(|| path.display().to_string())?
                    .len())
            })
            .sum()
    }
}

/// QEMU and images, normally below `target/vm`.
#[derive(Clone, Debug)]
pub struct Assets {
    binaries: Binaries,
    root: PathBuf,
    qemu: PathBuf,
}

impl Assets {
    /// Those of the target directory the running binary was built into, with the daemons built
    /// beside it.
    ///
    /// # Errors
    /// When the path of the running binary is unknown.
    pub fn beside_this_one() -> Result<Self> {
        Self::with(Binaries::beside_this_one()?)
    }

    /// Those of the target directory of the given daemons.
    ///
    /// # Errors
    /// When these lie in no directory.
    pub fn with(binaries: Binaries) -> Result<Self> {
        let target = binaries.dir().parent().context("target directory")?;
        let root = target.join("vm");
        let qemu = root.join("bin/qemu-system-x86_64");
        Ok(Self {
            binaries,
            root,
            qemu,
        })
    }

    /// Those beside the running binary, for the running test. Without `images` the test cannot
    /// run: `None`, its skip has been printed.
    ///
    /// # Errors
    /// As for [`Self::beside_this_one`].
    pub fn for_test(images: &[Image]) -> Result<Option<Self>> {
        let assets = Self::beside_this_one()?;
        let missing = assets.missing(images);
        if missing.is_empty() {
            return Ok(Some(assets));
        }
        let list: Vec<_> = missing
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let reason = format!("missing: {} ({COMMAND})", list.join(", "));
        skip::skip(&test_name(), &reason);
        Ok(None)
    }

    /// The daemons of the host.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// QEMU.
    pub fn qemu(&self) -> &Path {
        &self.qemu
    }

    /// Where what is left of failed tests is kept.
    pub fn failures(&self) -> PathBuf {
        self.root.join("failed")
    }

    /// The files of an image, whether they are there or not.
    pub fn image(&self, image: Image) -> ImageFiles {
        let dir = self.root.join("images").join(image.name());
        ImageFiles {
            kernel: dir.join("vmlinuz"),
            initramfs: dir.join("initramfs"),
            disk: image.has_disk().then(|| dir.join("root.ext4")),
        }
    }

    /// What is not there of QEMU and `images`.
    pub fn missing(&self, images: &[Image]) -> Vec<PathBuf> {
        let files = images.iter().map(|image| self.image(*image));
        let files: Vec<PathBuf> = files
            .flat_map(|files| files.all().map(Path::to_path_buf).collect::<Vec<_>>())
            .collect();
        std::iter::once(self.qemu.clone())
            .chain(files)
            .filter(|path| !path.is_file())
            .collect()
    }

    /// Fails when something of QEMU and `images` is not there.
    ///
    /// # Errors
    /// With what is missing, and the command that makes it.
    pub fn require(&self, images: &[Image]) -> Result<()> {
        let missing = self.missing(images);
        ensure!(missing.is_empty(), "missing: {missing:?}; run `{COMMAND}`");
        Ok(())
    }
}

/// The running test: libtest gives each test a thread of its name.
pub(super) fn test_name() -> String {
    let thread = std::thread::current();
    thread.name().unwrap_or("unnamed").to_owned()
}
