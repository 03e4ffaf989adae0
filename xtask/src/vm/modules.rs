//! The kernel modules of an image: with all they depend on, in an order that loads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::kernel::Kernel;
use super::tree::Tree;
use super::{cache, elf, tool};

#[cfg(test)]
mod tests;

/// Where init finds them; it loads all, in the order of their names.
const DIRECTORY: &str = "lib/modules/virtio-wl";

/// A module ready to be loaded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Module {
    /// Its name, with underscores only.
    name: String,
    /// What is loaded.
    content: Vec<u8>,
}

/// All modules of a kernel, by name.
#[derive(Debug)]
pub(crate) struct Modules {
    files: BTreeMap<String, PathBuf>,
    built_in: BTreeSet<String>,
}

impl Modules {
    /// Those of Debian's package, and `own` ones.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub(crate) fn of(kernel: &Kernel, own: &[PathBuf]) -> Result<Self> {
        let dir = kernel.modules();
        let built_in = fs::read_to_string(dir.join("modules.builtin"))
            .with_context(|| format!("modules.builtin in {}", dir.display()))?;
        let built_in = built_in.lines().filter_map(|line| name(Path::new(line)));
        let mut files = BTreeMap::new();
        let mut dirs = vec![dir.join("kernel")];
        while let Some(next) = dirs.pop() {
            for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
                let path = entry.context("directory entry")?.path();
                if path.is_dir() {
                    dirs.push(path);
                } else if let Some(name) = name(&path) {
                    files.insert(name, path);
                }
            }
        }
        for path in own {
            files.insert(name(path).context("name of our module")?, path.clone());
        }
        Ok(Self {
            built_in: built_in.collect(),
            files,
        })
    }

    /// The modules with these names, each after those it depends on; what is part of the kernel itself
    /// is left out.
    ///
    /// # Errors
    /// When there is no such module, or it cannot be read.
    pub(crate) fn with_dependencies(&self, names: &[&str]) -> Result<Vec<Module>> {
        let mut read = BTreeMap::new();
        let mut wanted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        while let Some(name) = wanted.pop() {
            if self.built_in.contains(&name) || read.contains_key(&name) {
                continue;
            }
            let path = self
                .files
                .get(&name)
                .with_context(|| format!("the kernel has no module {name}"))?;
            let content = plain(path)?;
            let depends = elf::module_info(&content, "depends")
                .with_context(|| format!("module {}", path.display()))?;
            let depends: Vec<String> = depends
                .iter()
                .flat_map(|list| list.split(','))
                .filter(|name| !name.is_empty())
                .map(normal)
                .filter(|name| !self.built_in.contains(name))
                .collect();
            wanted.extend(depends.iter().cloned());
            read.insert(name, (content, depends));
        }
        let needs = |name: &str| {
            read.get(name)
                .map_or(&[][..], |(_, needs)| needs.as_slice())
        };
        let order = order(names, needs)?;
        let mut modules = Vec::new();
        for name in order {
            if let Some((content, _)) = read.remove(&name) {
                modules.push(Module { name, content });
            }
        }
        Ok(modules)
    }
}

/// Adds modules to an image.
pub(crate) fn add(tree: &mut Tree, modules: Vec<Module>) {
    for (index, module) in modules.into_iter().enumerate() {
        let path = format!("{DIRECTORY}/{index:02}-{}.ko", module.name);
        tree.file(&path, 0o644, module.content);
    }
}

/// The names and all they need, each after what it needs.
fn order<'a>(names: &[&str], needs: impl Fn(&str) -> &'a [String]) -> Result<Vec<String>> {
    fn visit<'a>(
        name: &str,
        needs: &impl Fn(&str) -> &'a [String],
        path: &mut Vec<String>,
        order: &mut Vec<String>,
    ) -> Result<()> {
        if order.iter().any(|done| done == name) {
            return Ok(());
        }
        if path.iter().any(|above| above == name) {
            bail!("modules depend on each other: {}", path.join(", "));
        }
        path.push(name.to_owned());
        for need in needs(name) {
            visit(need, needs, path, order)?;
        }
        path.pop();
        order.push(name.to_owned());
        Ok(())
    }
    let mut order = Vec::new();
    for name in names {
        visit(name, &needs, &mut Vec::new(), &mut order)?;
    }
    Ok(order)
}

/// A module's file as the kernel takes it, without compression.
fn plain(path: &Path) -> Result<Vec<u8>> {
    let tool = match path.extension().and_then(|end| end.to_str()) {
        Some("ko") => return cache::read(path),
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => bail!("{}: unknown compression", path.display()),
    };
    tool::output(
        Command::new(tool)
            .args(["--decompress", "--stdout"])
            .arg(path),
    )
}

/// The name of the module in a file such as `virtio-gpu.ko.xz`.
fn name(path: &Path) -> Option<String> {
    let (name, end) = path.file_name()?.to_str()?.split_once(".ko")?;
    (end.is_empty() || end.starts_with('.')).then(|| normal(name))
}

/// File names have `-` where the kernel has `_`.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}
