//! What a compositor VM does without, once it has booted.

use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use super::root::is_initial;

/// Settings of the kernel.
const SETTINGS: [(&str, &str); 4] = [
    // All drivers of the image have been loaded.
    ("kernel/modules_disabled", "1"),
    // Nothing there uses these, and much that went wrong in kernels is behind them.
    ("user/max_user_namespaces", "0"),
    ("kernel/io_uring_disabled", "2"),
    ("kernel/unprivileged_bpf_disabled", "1"),
];

/// Where something can be written to; programs are never there.
const WRITABLE: [&str; 4] = ["/dev", "/dev/shm", "/run", "/tmp"];

/// Closes what is of no use to a compositor. What cannot be closed is told, and no more: it would
/// take the screen from the user. A root file system on a disk stays writable, as the homes of users
/// are there; it is thrown away with the VM.
pub(crate) fn lock_down() {
    for (name, value) in SETTINGS {
        let path = Path::new("/proc/sys").join(name);
        if let Err(error) = fs::write(&path, value) {
            tracing::warn!("cannot set {}: {error}", path.display());
        }
    }
    let no_programs = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    for path in WRITABLE {
        // Devices are in /dev alone.
        let no_devices = if path == "/dev" {
            MsFlags::empty()
        } else {
            MsFlags::MS_NODEV
        };
        remount(path, no_programs | no_devices);
    }
    let root = if is_initial() {
        MsFlags::MS_RDONLY
    } else {
        MsFlags::MS_NOSUID
    };
    remount("/", root | MsFlags::MS_NODEV);
}

fn remount(path: &str, flags: MsFlags) {
    let nothing = None::<&str>;
    let how = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags;
    if let Err(errno) = mount(nothing, path, nothing, how, nothing) {
        tracing::warn!("cannot change how {path} is mounted: {errno}");
    }
}
