//! `include/virtio_wl.h`, made of the C ABI's sources.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};

use crate::cargo;

/// Make include/virtio_wl.h anew from the sources of the C ABI.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only say whether the committed header is what would be made
    #[arg(long)]
    check: bool,
}

/// The committed header.
pub(crate) fn path() -> PathBuf {
    cargo::root().join("include/virtio_wl.h")
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check {
        return check();
    }
    let path = path();
    let dir = path.parent().context("its directory")?;
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    fs::write(&path, generate()?).with_context(|| path.display().to_string())
}

/// Compares the committed header with the sources.
///
/// # Errors
/// When they differ; with the first line that does.
pub(crate) fn check() -> Result<()> {
    let path = path();
    let committed = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let made = generate()?;
    if committed == made {
        return Ok(());
    }
    let differs = |(old, new): &(&str, &str)| old != new;
    let number = committed
        .lines()
        .zip(made.lines())
        .take_while(|lines| !differs(lines));
    bail!(
        "include/virtio_wl.h differs from the sources in line {}: run `cargo xtask header`",
        number.count() + 1
    );
}

fn generate() -> Result<String> {
    let source = cargo::root().join("libvirtio-wl/capi");
    let config = source.join("cbindgen.toml");
    let config = cbindgen::Config::from_file(&config)
        .map_err(anyhow::Error::msg)
        .with_context(|| config.display().to_string())?;
    let bindings = cbindgen::Builder::new()
        .with_crate(&source)
        .with_config(config)
        .generate()
        .context("cbindgen")?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = String::from_utf8(text).context("the header")?;
    // A name that cbindgen cannot see is left out without a word.
    ensure!(text.contains("virtio_wl_connect"), "the header is empty");
    Ok(text)
}
