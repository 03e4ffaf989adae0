//! What a program or a kernel module says that it needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use object::read::elf::{ElfFile64, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSection as _, elf};

use super::cache;

/// Where the loader looks for libraries, on Debian.
const LIBRARY_DIRS: &[&str] = &[
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];

/// The shared libraries that a program needs, and those that these need, as paths; and its loader.
/// None for a static program.
///
/// # Errors
/// When one is not there, or is no ELF file.
pub(crate) fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let mut found = BTreeMap::new();
    let mut queue = vec![program.to_owned()];
    while let Some(path) = queue.pop() {
        let bytes = cache::read(&path)?;
        let needs = needs(&bytes).with_context(|| format!("in {}", path.display()))?;
        for name in needs {
            if found.contains_key(&name) {
                continue;
            }
            let library = locate(&name)
                .with_context(|| format!("{}: library {name} not found", path.display()))?;
            queue.push(library.clone());
            found.insert(name, library);
        }
    }
    Ok(found.into_values().collect())
}

/// A library, by its name; a path, which a loader's is, stands for itself.
fn locate(name: &str) -> Option<PathBuf> {
    if name.starts_with('/') {
        return Some(name.into());
    }
    let mut dirs = LIBRARY_DIRS.iter().map(|dir| Path::new(dir).join(name));
    dirs.find(|path| path.exists())
}

/// The names in the dynamic section, and the loader's path.
fn needs(bytes: &[u8]) -> Result<Vec<String>> {
    let file = ElfFile64::<Endianness>::parse(bytes).context("not an ELF file")?;
    let endian = file.endian();
    let sections = file.elf_section_table();
    let mut names = Vec::new();
    for header in file.elf_program_headers() {
        if let Some(path) = header.interpreter(endian, bytes).context("loader")? {
            names.push(text(path)?);
        }
    }
    if let Some((entries, strings)) = sections.dynamic(endian, bytes).context("dynamic section")? {
        let strings = sections
            .strings(endian, bytes, strings)
            .context("strings")?;
        for entry in entries {
            if entry.d_tag.get(endian) != elf::DT_NEEDED {
                continue;
            }
            let offset = u32::try_from(entry.d_val.get(endian)).context("offset of a name")?;
            names.push(text(strings.get(offset).ok().context("name")?)?);
        }
    }
    Ok(names)
}

/// The values of a key in a kernel module's information, such as `depends`.
///
/// # Errors
/// When it is no kernel module.
pub(crate) fn module_info(bytes: &[u8], key: &str) -> Result<Vec<String>> {
    let file = object::File::parse(bytes).context("not an ELF file")?;
    let section = file
        .section_by_name(".modinfo")
        .context("not a kernel module")?;
    let data = section.data().context("section .modinfo")?;
    let mut values = Vec::new();
    for field in data.split(|byte| *byte == 0) {
        if let Some((name, value)) = text(field)?.split_once('=')
            && name == key
        {
            values.push(value.to_owned());
        }
    }
    Ok(values)
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).context("text in an ELF file")
}
