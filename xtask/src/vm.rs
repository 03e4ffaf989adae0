//! Virtual machines: QEMU, the guests' kernel, and bootable images, fetched and made on first use.
//!
//! * `qemu`: the system's QEMU, or a newer one unpacked privately
//! * `kernel`, `module`, `modules`: Debian's kernel, our driver for it, and which modules to load
//! * `guest_programs`: our programs that run in guests
//! * `debian`: root file systems of Debian
//! * `image`: bootable images from all these
//! * `tree`, `cpio`, `elf`, `digest`: what images are made with
//! * `run`: one guest on the terminal
//! * `libwayland`: what servers of other releases of Debian are linked to
//! * `accel`: by the hardware, or emulated
//! * `apt`, `unpack`: packages of Debian, without installing them
//! * `cache`, `tool`: where things are kept; running the system's tools

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::cargo::Profile;
use crate::deps;

mod accel;
mod apt;
mod cache;
mod cpio;
mod debian;
mod digest;
mod elf;
mod guest_programs;
mod image;
mod kernel;
pub(crate) mod libwayland;
mod module;
mod modules;
mod qemu;
pub(crate) mod run;
mod tool;
mod tree;
mod unpack;

pub(crate) use accel::Accel;
use cache::Cache;
pub(crate) use image::Image;
use kernel::Version;

/// Make bootable images for virtual machines.
#[derive(Debug, clap::Args)]
pub(crate) struct ImageArgs {
    /// Which images
    #[arg(required = true, value_enum)]
    images: Vec<Image>,
    /// The variant of the compositor's image with a shell on the second serial port
    #[arg(long)]
    debug: bool,
    /// Which build of our programs to put into them; the tests use debug
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
    /// Make each image once more from nothing, and fail unless it is the same byte for byte
    #[arg(long)]
    check: bool,
}

/// What is needed to start VMs.
#[derive(Clone, Debug)]
pub(crate) struct VmFiles {
    /// The QEMU to start.
    pub(crate) qemu: PathBuf,
    /// The directory that has a directory for each image.
    pub(crate) images: PathBuf,
}

/// Makes sure that there are a QEMU and up-to-date `images`, with our programs built as `profile`
/// says. Quick when nothing has changed.
///
/// # Errors
/// When something cannot be fetched or built; the error says what is missing.
pub(crate) fn ensure(images: &[Image], profile: Profile) -> Result<VmFiles> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "the images are for x86-64 machines only"
    );
    deps::require(&[deps::BUILD, deps::PROGRAMS, deps::VM])?;
    let cache = Cache::open()?;
    let _lock = cache.making()?;
    let qemu = qemu::ensure(&cache)?;
    for version in Version::ALL {
        let images = Image::with_kernel(images, version);
        if images.is_empty() {
            continue;
        }
        let inputs = image::Inputs::prepare(cache.clone(), profile, version)?;
        for image in images {
            image::ensure(image, &inputs)?;
        }
    }
    Ok(VmFiles {
        qemu,
        images: cache.own("images"),
    })
}

/// Makes the images and says how large they are.
pub(crate) fn make_images(args: &ImageArgs) -> Result<()> {
    let variant = |image: &Image| match image {
        Image::Compositor if args.debug => Image::CompositorDebug,
        other => *other,
    };
    let images: Vec<Image> = args.images.iter().map(variant).collect();
    let files = ensure(&images, args.profile)?;
    println!("{}", qemu::version_text(&files.qemu)?);
    for image in &images {
        let dir = files.images.join(image.name());
        println!("{}:", dir.display());
        for line in image::size::lines(&dir)? {
            println!("  {line}");
        }
        println!("  what is in it: {}", dir.join("manifest").display());
    }
    if args.check {
        for version in Version::ALL {
            check(&Image::with_kernel(&images, version), args.profile, version)?;
        }
    }
    Ok(())
}

/// Makes images that have this kernel once more, and compares.
fn check(images: &[Image], profile: Profile, version: Version) -> Result<()> {
    if images.is_empty() {
        return Ok(());
    }
    let cache = Cache::open()?;
    let _lock = cache.making()?;
    let inputs = image::Inputs::prepare(cache, profile, version)?;
    for image in images {
        image::again::compare(*image, &inputs)?;
        println!("{}: made again, the same byte for byte", image.name());
    }
    Ok(())
}
