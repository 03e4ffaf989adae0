//! File systems that every guest has.

use std::fs;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A file system of the kernel.
struct Mount {
    what: &'static str,
    target: &'static str,
    flags: MsFlags,
    options: &'static str,
}

const PLAIN: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

const MOUNTS: [Mount; 7] = [
    Mount {
        what: "devtmpfs",
        target: "/dev",
        flags: MsFlags::MS_NOSUID,
        options: "mode=0755",
    },
    Mount {
        what: "proc",
        target: "/proc",
        flags: PLAIN.union(MsFlags::MS_NOEXEC),
        options: "",
    },
    Mount {
        what: "sysfs",
        target: "/sys",
        flags: PLAIN.union(MsFlags::MS_NOEXEC),
        options: "",
    },
    Mount {
        what: "devpts",
        target: "/dev/pts",
        flags: MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC),
        // Group tty; ptmx for everybody.
        options: "gid=5,mode=0620,ptmxmode=0666",
    },
    Mount {
        what: "tmpfs",
        target: "/dev/shm",
        flags: PLAIN,
        options: "mode=1777",
    },
    Mount {
        what: "tmpfs",
        target: "/run",
        flags: PLAIN,
        options: "mode=0755,size=25%",
    },
    Mount {
        what: "tmpfs",
        target: "/tmp",
        flags: PLAIN,
        options: "mode=1777,size=50%",
    },
];

/// Mounts what is not mounted yet. Without one of them much can still be done, so that is told and
/// no more.
pub(crate) fn mount_all() {
    for entry in &MOUNTS {
        if let Err(error) = mount_one(entry) {
            tracing::error!("cannot mount {}: {error}", entry.target);
        }
    }
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        // There already after a change of root.
        let _ = std::os::unix::fs::symlink(target, link);
    }
}

fn mount_one(entry: &Mount) -> io::Result<()> {
    fs::create_dir_all(entry.target)?;
    if is_mounted(Path::new(entry.target)) {
        return Ok(());
    }
    match mount(
        Some(entry.what),
        entry.target,
        Some(entry.what),
        entry.flags,
        Some(entry.options),
    ) {
        Ok(()) | Err(Errno::EBUSY) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether something is mounted on a directory other than `/`.
fn is_mounted(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| path.metadata().ok().map(|data| data.dev());
    path.parent()
        .is_some_and(|parent| device(parent) != device(path))
}

/// Writes everything to the disks and takes them off, as far as that is possible.
pub(crate) fn unmount_all() {
    nix::unistd::sync();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for target in mounts
        .lines()
        .rev()
        .filter_map(|line| line.split(' ').nth(1))
    {
        if target == "/"
            || ["/dev", "/proc", "/sys"]
                .iter()
                .any(|keep| target.starts_with(keep))
        {
            continue;
        }
        if let Err(errno) = umount2(target, MntFlags::empty()) {
            tracing::debug!("{target} stays mounted: {errno}");
        }
    }
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    let nothing = None::<&str>;
    if let Err(errno) = mount(nothing, "/", nothing, flags, nothing) {
        tracing::debug!("the root file system stays writable: {errno}");
    }
    nix::unistd::sync();
}
