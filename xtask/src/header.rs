//! `include/virtio_wl.h`, made of the C ABI's sources, and the manual pages of its functions.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::cargo;

mod manual;

/// Make include/virtio_wl.h and the manual pages of section 3 anew from the sources of the C ABI.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only say whether the committed files are what would be made
    #[arg(long)]
    check: bool,
}

/// The committed header.
pub(crate) fn path() -> PathBuf {
    cargo::root().join("include/virtio_wl.h")
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let header = generate()?;
    let pages = manual::pages(&header).context("manual pages")?;
    let mut files = vec![(path(), header)];
    files.extend(pages.into_iter().map(|page| {
        let path = cargo::root().join("docs/man").join(page.name);
        (path.with_extension("3"), page.text)
    }));
    for (path, text) in &files {
        if args.check {
            compare(path, text)?;
        } else {
            write(path, text)?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let dir = path.parent().context("its directory")?;
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// Compares a committed file with what the sources make; says in which line they differ.
fn compare(path: &Path, made: &str) -> Result<()> {
    let committed = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    if committed == made {
        return Ok(());
    }
    let same = |(old, new): &(&str, &str)| old == new;
    let lines = committed.lines().zip(made.lines()).take_while(same);
    bail!(
        "{} differs from the sources in line {}: run `cargo xtask header`",
        path.display(),
        lines.count() + 1
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
