//! What a process or a run leaves behind: descriptors, children, files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::wait::{self, Deadline};

/// The open descriptors of a process, by number: what each one is (`readlink` of its entry).
///
/// # Errors
/// When the process has ended.
pub fn descriptors(pid: u32) -> Result<BTreeMap<u32, String>> {
    let mut found = BTreeMap::new();
    let dir = format!("/proc/{pid}/fd");
    for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {dir}"))? {
        let entry = entry.context("descriptor")?;
        let number = entry
            .file_name()
            .to_string_lossy()
            .parse()
            .context("descriptor number")?;
        // Gone since: the process closed it while we looked.
        if let Ok(target) = fs::read_link(entry.path()) {
            found.insert(number, target.to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

/// The direct children of a process.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn children(pid: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let entry = entry.context("process")?;
        let Ok(child) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // The command in parentheses may itself hold parentheses: fields start after the last.
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1));
        if parent == Some(pid.to_string().as_str()) {
            found.push(child);
        }
    }
    Ok(found)
}

/// Resident memory of a process in KiB (`VmRSS`).
///
/// # Errors
/// When the process has ended.
pub fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("process status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("no VmRSS")?;
    line.split_whitespace()
        .nth(1)
        .context("no figure")?
        .parse()
        .context("VmRSS")
}

/// All files below `dir`, sorted: what a daemon should have removed at its end.
///
/// # Errors
/// When the directory cannot be read.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry.context("file")?.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// How many descriptors a process had, to be compared later.
#[derive(Clone, Debug)]
pub struct DescriptorCount {
    pid: u32,
    name: String,
    before: BTreeMap<u32, String>,
}

impl DescriptorCount {
    /// Counts now.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn take(name: &str, pid: u32) -> Result<Self> {
        Ok(Self {
            pid,
            name: name.to_owned(),
            before: descriptors(pid)?,
        })
    }

    /// Waits until the process is back to at most the counted number plus `slack`.
    ///
    /// # Errors
    /// When it stays above; with the descriptors that are new.
    pub fn settle(&self, slack: usize) -> Result<()> {
        let limit = self.before.len() + slack;
        let settled = wait::until("descriptors to be closed", Deadline::step(), || {
            Ok((descriptors(self.pid)?.len() <= limit).then_some(()))
        });
        if settled.is_err() {
            let now = descriptors(self.pid)?;
            let new: Vec<_> = now
                .iter()
                .filter(|(number, _)| !self.before.contains_key(number))
                .collect();
            bail!(
                "{}: {} descriptors, {} before; new: {new:?}",
                self.name,
                now.len(),
                self.before.len()
            );
        }
        Ok(())
    }
}
