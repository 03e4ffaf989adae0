//! Shared memory: shared when it should be, a copy when it must be.

use std::os::fd::{AsFd as _, OwnedFd};

use anyhow::{Context as _, Result, ensure};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
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
