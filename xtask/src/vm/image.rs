//! Bootable images: a kernel, an initial RAM file system, and a disk for those that need one.
//!
//! ```text
//! target/vm/images/<name>/vmlinuz      the kernel
//! target/vm/images/<name>/initramfs    compressed
//! target/vm/images/<name>/root.ext4    only for `app`
//! target/vm/images/<name>/manifest     what is in them, with versions and SHA-256
//! target/vm/images/<name>/stamp        the digest of what they were made from, written last
//! ```
//!
//! The same inputs give the same bytes: entries are sorted, times fixed, owners given by number.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::cache;
use super::digest::{self, Digest};
use super::kernel::Kernel;
use super::modules::{self, Modules};
use super::tree::{ROOT, Tree};
use super::{cpio, tool};

mod app;
mod bare;
mod compositor;
mod inputs;

pub(crate) use inputs::Inputs;

/// Changes when images are made in another way from the same inputs.
const RECIPE: &str = "1";
/// Compression of initial RAM file systems, of zstd's 1 to 19: past this it gets slow, not small.
const COMPRESSION: &str = "-12";

/// What an image is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Image {
    /// The compositor, what it needs, and nothing else
    Compositor,
    /// The same with a shell
    #[value(skip)]
    CompositorDebug,
    /// Debian with programs, and sommelier for their windows
    App,
    /// Init, the self-test of the kernel driver and the bench, without a disk
    Bare,
}

impl Image {
    /// Name of its directory.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Compositor => "compositor",
            Self::CompositorDebug => "compositor-debug",
            Self::App => "app",
            Self::Bare => "bare",
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
    /// Largest size of the compressed initial RAM file system, in bytes.
    limit: Option<u64>,
}

/// What a disk consists of.
#[derive(Debug)]
struct Disk {
    /// The archive with Debian.
    base: PathBuf,
    /// What is put over it.
    tree: Tree,
}

/// Makes an image, unless the present one was made from the same inputs. Returns its directory.
///
/// # Errors
/// When an input is missing or a tool fails.
pub(crate) fn ensure(image: Image, inputs: &Inputs) -> Result<PathBuf> {
    let images = inputs.cache().own("images");
    cache::create_dir(&images)?;
    let dir = images.join(image.name());
    let contents = contents(image, inputs)?;
    let archive = cpio::archive(&contents.initramfs);
    let stamp = stamp(inputs.kernel(), &archive, contents.disk.as_ref());
    let _lock = cache::lock(&images.join("lock"))?;
    if fs::read_to_string(dir.join("stamp")).is_ok_and(|old| old == stamp) {
        return Ok(dir);
    }
    println!("     making the image {} ...", image.name());
    let partial = cache::partial(&dir);
    cache::remove(&partial)?;
    cache::create_dir(&partial)?;
    fs::copy(inputs.kernel().vmlinuz(), partial.join("vmlinuz")).context("copying the kernel")?;
    let initramfs = partial.join("initramfs");
    compress(&archive, &initramfs)?;
    check_size(&initramfs, contents.limit)?;
    if let Some(disk) = &contents.disk {
        app::write_disk(disk, &partial.join("root.ext4"))?;
    }
    cache::write(
        &partial.join("manifest"),
        manifest(inputs, &contents, &partial)?,
    )?;
    cache::write(&partial.join("stamp"), stamp)?;
    cache::remove(&dir)?;
    fs::rename(&partial, &dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

fn contents(image: Image, inputs: &Inputs) -> Result<Contents> {
    match image {
        Image::Compositor => compositor::contents(inputs, false),
        Image::CompositorDebug => compositor::contents(inputs, true),
        Image::App => app::contents(inputs),
        Image::Bare => bare::contents(inputs),
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

fn stamp(kernel: &Kernel, archive: &[u8], disk: Option<&Disk>) -> String {
    let mut digest = Digest::new();
    digest.add("recipe", RECIPE);
    digest.add("kernel", kernel.release());
    digest.add("initramfs", archive);
    if let Some(disk) = disk {
        digest.add("base", disk.base.display().to_string());
        digest.add("disk", cpio::archive(&disk.tree));
    }
    digest.finish()
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

fn check_size(initramfs: &Path, limit: Option<u64>) -> Result<()> {
    let size = size(initramfs)?;
    if let Some(limit) = limit {
        ensure!(
            size < limit,
            "the initial RAM file system has {size} bytes, more than the {limit} it may have"
        );
    }
    Ok(())
}

/// The text that says what an image holds.
fn manifest(inputs: &Inputs, contents: &Contents, dir: &Path) -> Result<String> {
    let mut text = format!("kernel {}\n", inputs.kernel().release());
    for name in ["vmlinuz", "initramfs", "root.ext4"] {
        let path = dir.join(name);
        if path.exists() {
            let bytes = cache::read(&path)?;
            let line = format!("{name} {} {}\n", bytes.len(), digest::sha256(&bytes));
            text.push_str(&line);
        }
    }
    if let Some(disk) = &contents.disk {
        for (package, version) in app::packages(&disk.base)? {
            text.push_str(&format!("package {package} {version}\n"));
        }
    }
    Ok(text)
}

/// Size of a file in bytes.
///
/// # Errors
/// When there is none.
pub(crate) fn size(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path).with_context(|| path.display().to_string())?;
    Ok(metadata.len())
}
