use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use integration_tests::dir::TestDir;
use integration_tests::skip;

use super::{FILES, Image, Inputs, bare, ensure, manifest};
use crate::cargo::Profile;
use crate::vm::cache::{self, Cache};
use crate::vm::guest_programs::GuestPrograms;
use crate::vm::kernel::Kernel;

/// What an image is made with.
const TOOLS: [&str; 3] = ["busybox", "strip", "zstd"];
/// Any program stands for ours: what is in the files does not matter here.
const PROGRAM: &str = "/bin/true";

/// Makes a kernel that has its modules in itself, and programs, in a directory of their own.
fn prepare(dir: &Path) -> Result<()> {
    let kernel = dir.join("kernel");
    let modules = kernel.join("usr/lib/modules/6.12-test");
    for dir in [modules.join("kernel"), kernel.join("boot")] {
        cache::create_dir(&dir)?;
    }
    let built_in = bare::MODULES.iter();
    let built_in: String = built_in.map(|name| format!("kernel/{name}.ko\n")).collect();
    cache::write(&modules.join("modules.builtin"), built_in)?;
    cache::write(&kernel.join("boot/vmlinuz-6.12-test"), "a kernel")?;
    cache::write(&kernel.join("release"), "6.12-test")?;
    let programs = dir.join("programs");
    cache::create_dir(&programs)?;
    for name in std::iter::once("virtio-wl-init").chain(bare::PROGRAMS) {
        fs::copy(PROGRAM, programs.join(name)).context(PROGRAM)?;
    }
    Ok(())
}

/// What [`prepare`] has made, as it is now.
fn inputs(dir: &Path) -> Result<Inputs> {
    Ok(Inputs::new(
        Cache::in_dirs(dir.join("own"), dir.join("shared"))?,
        Profile::Debug,
        Kernel::unpacked(dir.join("kernel"))?,
        dir.join("virtio_wl.ko"),
        GuestPrograms::in_dir(dir.join("programs")),
    ))
}

/// Made in two places, at two times, from two copies of the same inputs.
#[test]
fn two_builds_of_the_bare_image_are_equal() -> Result<()> {
    if !skip::has_programs("two_builds_of_the_bare_image_are_equal", &TOOLS) {
        return Ok(());
    }
    let dirs = [TestDir::new()?, TestDir::new()?];
    for dir in &dirs {
        prepare(dir.path())?;
    }
    let first = ensure(Image::Bare, &inputs(dirs[0].path())?)?;
    let second = ensure(Image::Bare, &inputs(dirs[1].path())?)?;
    assert_ne!(first, second);
    for name in FILES.into_iter().chain([manifest::NAME, "stamp"]) {
        let (first, second) = (first.join(name), second.join(name));
        assert_eq!(first.exists(), second.exists(), "{name}");
        if first.exists() {
            assert!(fs::read(first)? == fs::read(second)?, "{name} differs");
        }
    }
    Ok(())
}

#[test]
fn an_image_is_made_once_for_the_same_inputs() -> Result<()> {
    if !skip::has_programs("an_image_is_made_once_for_the_same_inputs", &TOOLS) {
        return Ok(());
    }
    let dir = TestDir::new()?;
    prepare(dir.path())?;
    let image = ensure(Image::Bare, &inputs(dir.path())?)?;
    let mark = image.join("mark");
    cache::write(&mark, "")?;
    ensure(Image::Bare, &inputs(dir.path())?)?;
    assert!(mark.exists(), "made again");

    fs::copy("/bin/false", dir.join("programs/virtio-wl-init"))?;
    ensure(Image::Bare, &inputs(dir.path())?)?;
    assert!(!mark.exists(), "not made again");
    Ok(())
}
