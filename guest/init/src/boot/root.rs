//! From the initial RAM file system to the root file system on a disk.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use guest_uevent::Uevents;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};
use nix::unistd::{chdir, chroot, execv};

/// The first disk.
const DISK: &str = "/dev/vda";

/// Where it is mounted until it is the root.
const NEW_ROOT: &str = "/newroot";

/// This program on that disk.
const INIT: &str = "/sbin/virtio-wl-init";

/// How long the kernel may take to find the disk, in an emulated guest on a busy host.
const DISK_PATIENCE: Duration = Duration::from_secs(30);

/// What statfs(2) says of a RAM file system that is no tmpfs (`RAMFS_MAGIC` of linux/magic.h).
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// Whether we still stand in the initial RAM file system.
pub(crate) fn is_initial() -> bool {
    statfs("/").is_ok_and(|root| is_ram(root.filesystem_type()))
}

fn is_ram(kind: FsType) -> bool {
    [RAMFS_MAGIC, TMPFS_MAGIC].contains(&kind)
}

/// Waits until anything has happened to devices, and forgets what; `false` after the deadline.
fn wait_for_news(events: &Uevents, deadline: Instant) -> nix::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(errno) => return Err(errno),
        }
        let mut any = false;
        while events.next()?.is_some() {
            any = true;
        }
        if any {
            return Ok(true);
        }
    }
}

/// Makes the first disk the root and goes on with the init it has.
pub(crate) fn switch(events: &Uevents) -> anyhow::Result<Infallible> {
    let deadline = Instant::now() + DISK_PATIENCE;
    while !Path::new(DISK).exists() {
        if !wait_for_news(events, deadline)? {
            bail!("{DISK} has not appeared in {} s", DISK_PATIENCE.as_secs());
        }
    }
    fs::create_dir_all(NEW_ROOT).context("cannot make the new root's place")?;
    let nothing = None::<&str>;
    mount(
        Some(DISK),
        NEW_ROOT,
        Some("ext4"),
        MsFlags::MS_NOATIME,
        nothing,
    )
    .with_context(|| format!("cannot mount {DISK}"))?;
    let init = format!("{NEW_ROOT}{INIT}");
    fs::metadata(&init).with_context(|| format!("{DISK} has no {INIT}"))?;
    for directory in ["/dev", "/proc", "/sys"] {
        let target = format!("{NEW_ROOT}{directory}");
        fs::create_dir_all(&target).with_context(|| format!("cannot make {target}"))?;
        mount(
            Some(directory),
            target.as_str(),
            nothing,
            MsFlags::MS_MOVE,
            nothing,
        )
        .with_context(|| format!("cannot move {directory}"))?;
    }
    empty_initial_root();
    chdir(NEW_ROOT).context("cannot enter the new root")?;
    mount(Some("."), "/", nothing, MsFlags::MS_MOVE, nothing)
        .context("cannot move the new root")?;
    chroot(".").context("cannot change root")?;
    chdir("/").context("cannot enter the root")?;
    let program = CString::new(INIT).context("the init's path")?;
    execv(&program, &[&program]).with_context(|| format!("cannot execute {INIT}"))
}

/// Gives the memory of the initial files back; what is mounted elsewhere is not touched.
fn empty_initial_root() {
    let Ok(root) = fs::metadata("/") else { return };
    if is_initial() {
        let _ = remove_within(Path::new("/"), root.dev());
    }
}

fn remove_within(directory: &Path, device: u64) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let data = fs::symlink_metadata(&path)?;
        if data.dev() != device {
            continue;
        }
        let _ = if data.is_dir() {
            remove_within(&path, device).and_then(|()| fs::remove_dir(&path))
        } else {
            fs::remove_file(&path)
        };
    }
    Ok(())
}
