//! How large images are, and may get.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::{Contents, FILES, Image};
use crate::vm::tree::{Node, Tree};

#[cfg(test)]
mod tests;

/// Entries named to whoever has made an image too large.
const NAMED: usize = 8;
/// Unit in which stat(2) says what is stored, in bytes.
const BLOCK: u64 = 512;

/// Size of a file in bytes.
///
/// # Errors
/// When there is none.
pub(crate) fn of(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path).with_context(|| path.display().to_string())?;
    Ok(metadata.len())
}

/// The sizes of an image's files, for people: a line for each.
///
/// # Errors
/// When one cannot be looked at.
pub(crate) fn lines(dir: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for name in FILES {
        let path = dir.join(name);
        if path.exists() {
            let metadata = fs::metadata(&path).with_context(|| path.display().to_string())?;
            let stored = metadata.blocks() * BLOCK;
            let mut line = format!("{name:<10} {:>10}", mib(metadata.len()));
            // Others are only rounded up.
            if stored < metadata.len() {
                line.push_str(&format!(", {} of them stored", mib(stored)));
            }
            lines.push(line);
        }
    }
    Ok(lines)
}

/// A size for people.
fn mib(bytes: u64) -> String {
    /// Bytes in the unit that sizes are given in.
    const MIB: f64 = 1_048_576.0;
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let size = bytes as f64 / MIB;
    format!("{size:.1} MiB")
}

/// Fails when an image is larger than it may be.
///
/// # Errors
/// With what is large in it.
pub(super) fn check(image: Image, dir: &Path, contents: &Contents) -> Result<()> {
    let Some(limit) = contents.limit else {
        return Ok(());
    };
    let size = of(&dir.join("vmlinuz"))? + of(&dir.join("initramfs"))?;
    ensure!(
        size <= limit,
        "the image {} has {}, compressed, and may have {}; largest, before compression: {}",
        image.name(),
        mib(size),
        mib(limit),
        largest(&contents.initramfs).join(", ")
    );
    Ok(())
}

/// The largest files of a tree, with their sizes.
fn largest(tree: &Tree) -> Vec<String> {
    let mut files: Vec<(u64, &str)> = tree
        .iter()
        .filter_map(|(path, entry)| match &entry.node {
            Node::File(content) => Some((content.len() as u64, path)),
            _ => None,
        })
        .collect();
    files.sort_unstable_by(|left, right| right.cmp(left));
    files.truncate(NAMED);
    files
        .into_iter()
        .map(|(size, path)| format!("/{path} {}", mib(size)))
        .collect()
}
