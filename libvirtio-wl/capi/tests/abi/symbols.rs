//! The names that programs link with: ours, all of them, and no others.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use object::elf::{DT_FLAGS_1, DT_SONAME};
use object::read::elf::{Dyn as _, ElfFile64};
use object::{Endianness, Object as _, ObjectSymbol as _};

use crate::installed::Installed;

/// The ABI: one name a line. A name that has been here stays.
const LIST: &str = include_str!("../symbols.txt");

/// `DF_1_NODELETE`.
const NODELETE: u64 = 8;

pub(crate) fn listed() -> BTreeSet<&'static str> {
    LIST.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn exports_are_the_list() -> Result<()> {
    let data = std::fs::read(Installed::get()?.path("lib/libvirtio_wl.so.1"))?;
    let file: ElfFile64<'_> = ElfFile64::parse(&*data)?;
    let exported: BTreeSet<_> = file
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition() && !symbol.is_local())
        .map(|symbol| symbol.name())
        .collect::<Result<_, _>>()?;
    ensure!(exported == listed(), "{exported:?}");
    Ok(())
}

#[test]
fn the_header_declares_the_list() -> Result<()> {
    let header = std::fs::read_to_string(Installed::get()?.path("include/virtio_wl.h"))?;
    let declared: BTreeSet<_> = header
        .lines()
        .filter(|line| line.ends_with(");") && !line.starts_with(['#', 'V', ' ']))
        .filter_map(|line| line.split('(').next()?.rsplit([' ', '*']).next())
        .collect();
    ensure!(declared == listed(), "{declared:?}");
    Ok(())
}

#[test]
fn the_archive_has_the_list() -> Result<()> {
    let data = std::fs::read(Installed::get()?.path("lib/libvirtio_wl.a"))?;
    let archive = object::read::archive::ArchiveFile::parse(&*data)?;
    let index = archive.symbols()?.context("an index")?;
    let names = index
        .map(|symbol| Ok(symbol?.name()))
        .collect::<Result<BTreeSet<_>, object::Error>>()?;
    for name in listed() {
        ensure!(names.contains(name.as_bytes()), "{name} is missing");
    }
    Ok(())
}

#[test]
fn soname_and_no_way_to_unload() -> Result<()> {
    let data = std::fs::read(Installed::get()?.path("lib/libvirtio_wl.so.1"))?;
    let file: ElfFile64<'_> = ElfFile64::parse(&*data)?;
    let endian: Endianness = file.endian();
    let sections = file.elf_section_table();
    let (dynamic, index) = sections
        .dynamic(endian, &*data)?
        .context("a dynamic section")?;
    let strings = sections.strings(endian, &*data, index)?;
    let entry = |tag: i64| dynamic.iter().find(|entry| entry.d_tag(endian) == tag);
    let soname = entry(DT_SONAME)
        .context("no soname")?
        .string(endian, strings)?;
    ensure!(soname == b"libvirtio_wl.so.1", "{soname:?}");
    // Our threads run its code.
    let flags = entry(DT_FLAGS_1).context("no flags")?.d_val(endian);
    ensure!(flags & NODELETE != 0, "{flags:#x}");
    Ok(())
}
