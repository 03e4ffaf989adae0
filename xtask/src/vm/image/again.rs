//! Making an image a second time, from nothing, to see whether the bytes are the same.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use super::{FILES, Image, Inputs, contents, disk, ensure, manifest, write};
use crate::vm::cache;

#[cfg(test)]
mod tests;

/// Versions of packages that are named when they have changed.
const NAMED: usize = 8;
/// Bytes that are compared at a time.
const PART: u64 = 1 << 20;

/// Makes an image, and once more in another place, Debian's part included, and compares every byte.
///
/// # Errors
/// When both differ: with the file and the place in it, or the packages of which the mirror has
/// other versions by now.
pub(crate) fn compare(image: Image, inputs: &Inputs) -> Result<()> {
    let first = ensure(image, inputs)?;
    let second = inputs
        .cache()
        .own("images")
        .join(format!("{}.again", image.name()));
    let result = once_more(image, inputs, &first, &second);
    cache::remove(&second)?;
    result.with_context(|| format!("the image {} differs when made again", image.name()))
}

fn once_more(image: Image, inputs: &Inputs, first: &Path, second: &Path) -> Result<()> {
    let contents = contents(image, inputs)?;
    let base = second.with_extension("base");
    let base = match &contents.disk {
        Some(disk) => {
            cache::remove(&base)?;
            disk.system.make(&base)?;
            let present = disk.system.archive(inputs.cache())?;
            same_packages(&disk::packages(&present)?, &disk::packages(&base)?)?;
            Some(base)
        }
        None => None,
    };
    let written = write(&contents, inputs.kernel(), base.as_deref(), second);
    if let Some(base) = &base {
        cache::remove(base)?;
    }
    written?;
    for name in FILES.into_iter().chain([manifest::NAME]) {
        let (first, second) = (first.join(name), second.join(name));
        ensure!(first.exists() == second.exists(), "only one has {name}");
        if first.exists()
            && let Some(place) = difference(&first, &second)?
        {
            bail!("{name} differs from byte {place} on");
        }
    }
    Ok(())
}

/// Where two files differ first, in bytes from their start.
fn difference(first: &Path, second: &Path) -> Result<Option<u64>> {
    let open = |path: &Path| File::open(path).with_context(|| path.display().to_string());
    let part = |file: &mut File| {
        let mut bytes = Vec::new();
        file.take(PART).read_to_end(&mut bytes).context("image")?;
        anyhow::Ok(bytes)
    };
    let (mut first, mut second) = (open(first)?, open(second)?);
    let mut place = 0;
    loop {
        let (left, right) = (part(&mut first)?, part(&mut second)?);
        if left != right {
            let equal = left
                .iter()
                .zip(&right)
                .take_while(|(left, right)| left == right);
            return Ok(Some(place + equal.count() as u64));
        }
        if left.is_empty() {
            return Ok(None);
        }
        place += left.len() as u64;
    }
}

/// Fails when two lists of packages have different versions.
fn same_packages(first: &[(String, String)], second: &[(String, String)]) -> Result<()> {
    let only = |these: &[(String, String)], those: &[(String, String)]| -> Vec<String> {
        let these = these.iter().filter(|package| !those.contains(package));
        let words = these.map(|(name, version)| format!("{name} {version}"));
        words.take(NAMED).collect()
    };
    let (gone, new) = (only(first, second), only(second, first));
    ensure!(
        gone.is_empty() && new.is_empty(),
        "the mirror has other packages now, so these are other inputs: {} instead of {} (to take them, remove the cache's directory debian)",
        new.join(", "),
        gone.join(", ")
    );
    Ok(())
}
