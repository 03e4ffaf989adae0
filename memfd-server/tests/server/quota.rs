//! Quotas of the real server: used up, and returned without anybody saying so.

use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;

use crate::common::Server;
use anyhow::{Result, ensure};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use virtio_wl::memfd_request::MemfdStatus;

#[test]
fn memory_is_what_the_contract_says() -> Result<()> {
    let server = Server::start(&[("work", "")])?;
    let file = File::from(server.connect("work")?.get(12_345)?);
    let metadata = file.metadata()?;
    ensure!(metadata.len() == 12_345, "exactly the size asked for");
    ensure!(metadata.permissions().mode() & 0o111 == 0, "not executable");
    let seals = SealFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GET_SEALS)?);
    let wanted = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    ensure!(seals.contains(wanted), "{seals:?}");
    ensure!(file.set_len(1).is_err() && file.set_len(1 << 20).is_err());
    server.stop()
}

#[test]
fn bytes_run_out_and_come_back_when_descriptors_are_closed() -> Result<()> {
    let server = Server::start(&[("work", "max-bytes = 8192"), ("home", "")])?;
    let mut work = server.connect("work")?;
    let one = work.get(4096)?;
    let two = work.get(1)?;
    work.refused(1, MemfdStatus::QUOTA)?;
    // Another connection of the VM is the same VM; another VM is not.
    server.connect("work")?.refused(1, MemfdStatus::QUOTA)?;
    server.connect("home")?.get(4096)?;
    drop(one);
    let one = work.get(4096)?;
    work.refused(1, MemfdStatus::QUOTA)?;
    drop((one, two));
    work.get(8192)?;
    server.stop()
}

#[test]
fn pieces_run_out_and_come_back() -> Result<()> {
    let server = Server::start(&[("work", "max-count = 3")])?;
    let mut work = server.connect("work")?;
    let mut held: Vec<OwnedFd> = (0..3).map(|_| work.get(1)).collect::<Result<_>>()?;
    work.refused(1, MemfdStatus::QUOTA)?;
    held.pop();
    work.get(1)?;
    server.stop()
}

#[test]
fn one_piece_may_be_too_big_for_ever() -> Result<()> {
    let server = Server::start(&[("work", "max-size = 4096")])?;
    let mut work = server.connect("work")?;
    work.refused(4097, MemfdStatus::QUOTA)?;
    work.refused(u64::MAX, MemfdStatus::QUOTA)?;
    work.get(4096)?;
    server.stop()
}

#[test]
fn a_mapping_alone_holds_the_quota() -> Result<()> {
    let server = Server::start(&[("work", "max-bytes = 4096")])?;
    let mut work = server.connect("work")?;
    let memory = work.get(4096)?;
    let mapping = map(&memory)?;
    drop(memory);
    // Nor does the end of the connection release anything.
    drop(work);
    let mut work = server.connect("work")?;
    work.refused(1, MemfdStatus::QUOTA)?;
    unmap(mapping)?;
    work.get(4096)?;
    server.stop()
}

#[test]
fn what_is_held_survives_a_reload() -> Result<()> {
    let mut server = Server::start(&[("work", "max-bytes = 8192")])?;
    let held = server.connect("work")?.get(8192)?;
    let without = server.config(&[("home", "")]);
    server.reload(&without)?;
    ensure!(server.connect("work").is_err());
    let again = server.config(&[("work", "max-bytes = 12288")]);
    server.reload(&again)?;
    let mut work = server.connect("work")?;
    work.refused(8192, MemfdStatus::QUOTA)?;
    let _more = work.get(4096)?;
    drop(held);
    work.get(8192)?;
    server.stop()
}

type Mapping = std::ptr::NonNull<std::ffi::c_void>;

const PAGE: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

#[allow(unsafe_code)]
fn map(memory: &OwnedFd) -> Result<Mapping> {
    let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a fresh mapping that nothing refers to.
    Ok(unsafe { mmap(None, PAGE, prot, MapFlags::MAP_SHARED, memory, 0) }?)
}

#[allow(unsafe_code)]
fn unmap(mapping: Mapping) -> Result<()> {
    // SAFETY: the whole mapping of `map`, to which no reference was made.
    Ok(unsafe { munmap(mapping, PAGE.get()) }?)
}
