//! Bootable images: a kernel, an initial RAM file system, and a disk for those that need one.
//!
//! ```text
//! target/vm/images/<name>/vmlinuz      the kernel
//! target/vm/images/<name>/initramfs    compressed
//! target/vm/images/<name>/root.ext4    only for `app` and `desktop`
//! target/vm/images/<name>/manifest     what is in them, with versions and SHA-256
//! target/vm/images/<name>/stamp        the digest of what they were made from, written last
//! ```
//!
//! The same inputs give the same bytes, whoever makes them: entries are sorted, times fixed, owners
//! given by number. `again` makes sure of that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result};
use integration_tests::vm::Image as Guest;

use super::digest::Digest;
use super::kernel::{Kernel, Version};
use super::modules::{self, Modules};
use super::tree::{ROOT, Tree};
use super::{cache, cpio, tool};

pub(crate) mod again;
mod app;
mod bare;
mod compositor;
mod desktop;
mod disk;
mod inputs;
mod manifest;
mod recipe;
pub(crate) mod size;
#[cfg(test)]
mod tests;

use disk::Disk;

pub(crate) use inputs::Inputs;

/// Changes when images are made in another way from the same inputs.
const RECIPE: &str = "2";
/// Compression of initial RAM file systems, of zstd's 1 to 19: past this it gets slow, not small.
const COMPRESSION: &str = "-12";
/// A static shell with all usual commands, package `busybox-static`.
const BUSYBOX: &str = "/bin/busybox";

/// What an image is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Image {
    /// The compositor, what it needs, and nothing else
    Compositor,
    /// The same with a shell
    #[value(skip)]
    CompositorDebug,
    /// Debian with labwc, sway, weston and cage, for a compositor VM with one of them
    Desktop,
    /// Debian with programs, and sommelier for their windows
    App,
    /// Init, the self-test of the kernel driver and the bench, without a disk
    Bare,
    /// The same with the oldest kernel the driver is for
    #[value(name = "bare-6.1")]
    BareOldest,
}

impl Image {
    /// All with this kernel.
    pub(crate) fn with_kernel(images: &[Self], version: Version) -> Vec<Self> {
        let has = |image: &&Self| (**image == Self::BareOldest) == (version == Version::Oldest);
        images.iter().filter(has).copied().collect()
    }

    /// Name of its directory.
    pub(crate) fn name(self) -> &'static str {
        self.guest().name()
    }

    /// The same for what boots images.
    pub(crate) fn guest(self) -> Guest {
        match self {
            Self::Compositor => Guest::Compositor,
            Self::CompositorDebug => Guest::CompositorDebug,
            Self::Desktop => Guest::Desktop,
            Self::App => Guest::App,
            Self::Bare => Guest::Bare,
            Self::BareOldest => Guest::BareOldest,
        }
    }
}

/// What an image consists of, besides the kernel.
#[derive(Debug)]
struct Contents {
    /// The initial RAM file system.
    initramfs: Tree,
    /// The disk.
    disk: Option<Disk>,
    /// Largest size of kernel and compressed initial RAM file system together, in bytes.
    limit: Option<u64>,
}

/// The files of an image, each of which may be missing.
pub(crate) const FILES: [&str; 3] = ["vmlinuz", "initramfs", "root.ext4"];

/// Makes an image, unless the present one was made from the same inputs. Returns its directory. The
/// caller holds [`cache::Cache::making`].
///
/// # Errors
/// When an input is missing or a tool fails, or the image gets too large.
pub(crate) fn ensure(image: Image, inputs: &Inputs) -> Result<PathBuf> {
    let images = inputs.cache().own("images");
    cache::create_dir(&images)?;
    let dir = images.join(image.name());
    let contents = contents(image, inputs)?;
    let disk = contents.disk.as_ref();
    let base = disk
        .map(|disk| disk.system.archive(inputs.cache()))
        .transpose()?;
    let archive = cpio::archive(&contents.initramfs);
    let stamp = stamp(inputs.kernel(), &archive, disk.zip(base.as_deref()))?;
    if fs::read_to_string(dir.join("stamp")).is_ok_and(|old| old == stamp) {
        return Ok(dir);
    }
    println!("     making the image {} ...", image.name());
    let partial = cache::partial(&dir);
    write(&contents, inputs.kernel(), base.as_deref(), &partial)?;
    size::check(image, &partial, &contents)?;
    cache::write(&partial.join("stamp"), stamp)?;
    cache::remove(&dir)?;
    fs::rename(&partial, &dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

/// Writes all files of an image but its stamp to a new directory. `base` is the archive of its disk.
fn write(contents: &Contents, kernel: &Kernel, base: Option<&Path>, dir: &Path) -> Result<()> {
    cache::remove(dir)?;
    cache::create_dir(dir)?;
    fs::copy(kernel.vmlinuz(), dir.join("vmlinuz")).context("copying the kernel")?;
    let archive = cpio::archive(&contents.initramfs);
    compress(&archive, &dir.join("initramfs"))?;
    if let (Some(disk), Some(base)) = (&contents.disk, base) {
        disk.write(base, &dir.join("root.ext4"))?;
    }
    let manifest = manifest::text(kernel, base, dir)?;
    cache::write(&dir.join(manifest::NAME), manifest)
}

fn contents(image: Image, inputs: &Inputs) -> Result<Contents> {
    match image {
        Image::Compositor => compositor::contents(inputs, false),
        Image::CompositorDebug => compositor::contents(inputs, true),
        Image::Desktop => desktop::contents(inputs),
        Image::App => app::contents(inputs),
        Image::Bare | Image::BareOldest => bare::contents(inputs),
    }
}

/// The part that all initial RAM file systems have: init, modules, users, places to mount at.
fn base(inputs: &Inputs, modules: &[&str], users: &[(&str, u32)]) -> Result<Tree> {
    let mut tree = Tree::new();
    tree.file("init", 0o755, inputs.guest_program("virtio-wl-init")?);
    for dir in ["dev", "proc", "run", "sys", "newroot"] {
        tree.directory(dir, 0o755, ROOT);
    }
    tree.directory("tmp", 0o1777, ROOT);
    let mut passwd = "root:x:0:0:root:/root:/bin/sh\n".to_owned();
    let mut group = "root:x:0:\n".to_owned();
    for (name, id) in users {
        passwd.push_str(&format!("{name}:x:{id}:{id}::/:/bin/sh\n"));
        group.push_str(&format!("{name}:x:{id}:\n"));
    }
    tree.file("etc/passwd", 0o644, passwd);
    tree.file("etc/group", 0o644, group);
    let found = Modules::of(inputs.kernel(), &[inputs.module().to_owned()])?;
    modules::add(&mut tree, found.with_dependencies(modules)?);
    Ok(tree)
}

/// What disks have besides Debian: init, and programs of ours.
fn installed(inputs: &Inputs, programs: &[&str]) -> Result<Tree> {
    let mut tree = Tree::new();
    let init = "virtio-wl-init";
    tree.file(
        &format!("usr/sbin/{init}"),
        0o755,
        inputs.guest_program(init)?,
    );
    for program in programs {
        let path = format!("usr/bin/{program}");
        tree.file(&path, 0o755, inputs.guest_program(program)?);
    }
    Ok(tree)
}

/// Adds a shell with all usual commands.
fn add_shell(tree: &mut Tree) -> Result<()> {
    let busybox =
        fs::read(BUSYBOX).with_context(|| format!("{BUSYBOX} (Debian package busybox-static)"))?;
    tree.file("bin/busybox", 0o755, busybox);
    tree.link("bin/sh", "busybox");
    Ok(())
}

/// The digest of what an image is made from. An archive of Debian is made once and never changed, so
/// its content does not have to be read for that.
fn stamp(kernel: &Kernel, archive: &[u8], disk: Option<(&Disk, &Path)>) -> Result<String> {
    let mut digest = Digest::new();
    digest.add("recipe", RECIPE);
    digest.add("kernel", kernel.release());
    digest.add("initramfs", archive);
    if let Some((disk, base)) = disk {
        let made = fs::metadata(base).and_then(|metadata| metadata.modified());
        let made = made.with_context(|| base.display().to_string())?;
        let made = made.duration_since(UNIX_EPOCH).unwrap_or_default();
        digest.add(
            "base",
            base.file_name().unwrap_or_default().as_encoded_bytes(),
        );
        digest.add("base made", made.as_nanos().to_le_bytes());
        digest.add("disk", cpio::archive(&disk.tree));
    }
    Ok(digest.finish())
}

fn compress(bytes: &[u8], place: &Path) -> Result<()> {
    let plain = place.with_extension("cpio");
    cache::write(&plain, bytes)?;
    // One thread: with more, the bytes would depend on the number of cores.
    let mut zstd = Command::new("zstd");
    zstd.args(["--quiet", "--single-thread", "--rm", COMPRESSION, "-o"]);
    tool::output(zstd.arg(place).arg(&plain))?;
    Ok(())
}
