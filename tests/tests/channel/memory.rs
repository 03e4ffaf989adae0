//! Shared memory: shared when it should be, a copy when it must be.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result, ensure};
use integration_tests::TestDir;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use virtio_wl::limits::MAX_GROWTHS;
use virtio_wl::{Memory, Vfd, VfdKind};

use crate::host::{content, memfd};
use crate::setup::{Setup, pattern, receive_exact, send_all};

/// Seals as a keymap is.
fn seal(fd: OwnedFd) -> Result<OwnedFd> {
    let seals = SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SEAL;
    fcntl(fd.as_fd(), FcntlArg::F_ADD_SEALS(seals)).context("seals")?;
    Ok(fd)
}

fn only_memory(fds: Vec<Vfd>) -> Result<Memory> {
    match fds.into_iter().next() {
        Some(Vfd::Memory(memory)) => Ok(memory),
        other => anyhow::bail!("no memory but {other:?}"),
    }
}

fn bytes(memory: &Memory) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(memory.size())?];
    memory.map()?.read(0, &mut bytes)?;
    Ok(bytes)
}

#[test]
fn memory_of_the_guest_is_shared() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let memory = setup.device.allocate(1 << 20)?;
    ensure!(memory.size() == 1 << 20);
    let mapping = memory.map()?;
    send_all(&channel, b"m", &[memory.as_fd()])?;
    let (_, fds) = peer.receive_exact(1)?;
    let fd = fds.into_iter().next().context("a descriptor")?;
    // Written after it was sent, seen by the host; and the other way round.
    mapping.write(12345, b"from the guest")?;
    let mut seen = [0; 14];
    nix::sys::uio::pread(&fd, &mut seen, 12345)?;
    ensure!(&seen == b"from the guest");
    nix::sys::uio::pwrite(&fd, b"from the host", 777)?;
    let mut seen = [0; 13];
    mapping.read(777, &mut seen)?;
    ensure!(&seen == b"from the host");
    Ok(())
}

#[test]
fn a_sealed_keymap_reaches_the_guest_and_the_next_guest() -> Result<()> {
    let setup = Setup::new()?;
    let (from, from_peer) = setup.connect()?;
    let (to, to_peer) = setup.connect()?;
    let keymap = pattern(1, 64 * 1024 + 17);
    let fd = seal(memfd(&keymap)?)?;
    from_peer.send_all(b"k", &[fd.as_fd()])?;
    let memory = only_memory(receive_exact(&from, 1)?.1)?;
    ensure!(memory.size() == keymap.len() as u64, "{}", memory.size());
    ensure!(bytes(&memory)? == keymap);
    let kind = setup.device.identify(memory.as_fd())?;
    ensure!(
        kind == Some(VfdKind::Memory {
            size: memory.size()
        })
    );
    // As it is: a VFD needs no conversion.
    send_all(&to, b"k", &[memory.as_fd()])?;
    let (_, fds) = to_peer.receive_exact(1)?;
    let forwarded = content(fds.into_iter().next().context("a descriptor")?)?;
    ensure!(forwarded[..keymap.len()] == keymap);
    Ok(())
}

#[test]
fn ordinary_memory_goes_as_a_copy_of_its_own() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let keymap = pattern(2, 70_001);
    let fd = seal(memfd(&keymap)?)?;
    send_all(&channel, b"kk", &[fd.as_fd(), fd.as_fd()])?;
    let (_, fds) = peer.receive_exact(2)?;
    ensure!(fds.len() == 2);
    let [first, second] = <[_; 2]>::try_from(fds).expect("two");
    // One receiver's scribbling is not the other's keymap.
    nix::sys::uio::pwrite(&first, b"scribble", 0)?;
    let mut expected = keymap;
    expected.resize(73_728, 0);
    ensure!(content(second)? == expected);
    Ok(())
}

#[test]
fn sizes_as_they_are_asked_for() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    for (asked, got) in [(0, 4096), (1, 4096), (4096, 4096), (4097, 8192)] {
        let memory = setup.device.allocate(asked)?;
        ensure!(memory.size() == got);
        send_all(&channel, b"s", &[memory.as_fd()])?;
        let (_, fds) = peer.receive_exact(1)?;
        let fd = fds.into_iter().next().context("a descriptor")?;
        ensure!(content(fd)? == vec![0; usize::try_from(got)?]);
    }
    Ok(())
}

#[test]
fn memory_comes_back() -> Result<()> {
    let setup = Setup::new()?;
    // All at once they would not fit: neither the ids, nor the region of 4 GiB.
    for _ in 0..3000 {
        setup.device.allocate(64 << 20)?;
    }
    Ok(())
}

#[test]
fn a_bare_descriptor_and_a_mapping_outlive_the_device() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let memory = setup.device.allocate(5000)?;
    let mapping = memory.map()?;
    let fd = memory.into_fd();
    // Still a VFD: it is not copied.
    send_all(&channel, b"m", &[fd.as_fd()])?;
    let (_, fds) = peer.receive_exact(1)?;
    mapping.write(100, b"kept")?;
    drop((setup, channel));
    ensure!(&content(fd)?[100..104] == b"kept");
    let theirs = fds.into_iter().next().context("a descriptor")?;
    ensure!(&content(theirs)?[100..104] == b"kept");
    Ok(())
}

/// Bytes of a page.
const PAGE: u64 = 4096;

/// A file of whole pages that the host can make longer, and its memory here.
fn growing(setup: &Setup, pages: u64) -> Result<(File, Memory)> {
    let (channel, peer) = setup.connect()?;
    let file = File::from(memfd(&vec![1; usize::try_from(pages * PAGE)?])?);
    peer.send_all(b"g", &[file.as_fd()])?;
    let memory = only_memory(receive_exact(&channel, 1)?.1)?;
    ensure!(memory.size() == pages * PAGE, "{}", memory.size());
    Ok((file, memory))
}

/// The error of something that has to fail.
fn error(result: std::io::Result<u64>) -> Result<Errno> {
    let error = result.err().context("it should have failed")?;
    let number = error.raw_os_error().with_context(|| error.to_string())?;
    Ok(Errno::from_raw(number))
}

#[test]
fn a_file_that_grows_is_seen_when_asked_about() -> Result<()> {
    let setup = Setup::new()?;
    let (file, mut memory) = growing(&setup, 2)?;
    let before = memory.map()?;
    ensure!(memory.refresh()? == 2 * PAGE, "nothing has changed");

    file.set_len(5 * PAGE)?;
    file.write_all_at(b"the new part", 4 * PAGE)?;
    ensure!(memory.size() == 2 * PAGE, "not asked yet");
    ensure!(memory.refresh()? == 5 * PAGE && memory.size() == 5 * PAGE);
    let kind = setup.device.identify(memory.as_fd())?;
    ensure!(kind == Some(VfdKind::Memory { size: 5 * PAGE }));
    let after = memory.map()?;
    let mut seen = [0; 12];
    after.read(4 * PAGE as usize, &mut seen)?;
    ensure!(&seen == b"the new part");

    // Both show the same memory, and so does the host's.
    before.write(0, b"old place")?;
    let mut seen = [0; 9];
    after.read(0, &mut seen)?;
    ensure!(&seen == b"old place");
    file.read_exact_at(&mut seen, 0)?;
    ensure!(&seen == b"old place");

    // Behind the last whole page nothing can be seen.
    file.set_len(6 * PAGE + 17)?;
    ensure!(memory.refresh()? == 6 * PAGE);
    Ok(())
}

#[test]
fn a_file_that_grows_too_often_keeps_its_last_size() -> Result<()> {
    let setup = Setup::new()?;
    let (file, mut memory) = growing(&setup, 1)?;
    let most = 1 + u64::try_from(MAX_GROWTHS)?;
    for pages in 2..=most {
        file.set_len(pages * PAGE)?;
        ensure!(memory.refresh()? == pages * PAGE);
    }
    file.set_len((most + 1) * PAGE)?;
    ensure!(error(memory.refresh())? == Errno::ENOMEM);
    ensure!(memory.size() == most * PAGE);
    ensure!(bytes(&memory)?.len() as u64 == most * PAGE);
    Ok(())
}

#[test]
fn what_the_device_has_made_never_grows() -> Result<()> {
    let setup = Setup::new()?;
    let mut own = setup.device.allocate(2 * PAGE)?;
    ensure!(own.refresh()? == 2 * PAGE);
    let (channel, peer) = setup.connect()?;
    let keymap = seal(memfd(&pattern(3, 5000))?)?;
    peer.send_all(b"k", &[keymap.as_fd()])?;
    let mut copy = only_memory(receive_exact(&channel, 1)?.1)?;
    ensure!(copy.refresh()? == 5000, "the size of a copy is exact");
    Ok(())
}

#[test]
fn a_device_that_cannot_tell_says_so() -> Result<()> {
    let setup = Setup::with(TestDir::new()?, |command, _| {
        command.option("--without-feature", "refresh")
    })?;
    let (file, mut memory) = growing(&setup, 1)?;
    file.set_len(2 * PAGE)?;
    ensure!(error(memory.refresh())? == Errno::EOPNOTSUPP);
    ensure!(memory.size() == PAGE);
    Ok(())
}
