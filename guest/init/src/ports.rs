//! virtio-serial ports by their names, without udev.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::O_NONBLOCK;

/// Where the kernel tells the names of ports.
const PORTS: &str = "/sys/class/virtio-ports";

/// Opens the port of a name; `None` when there is none (yet).
///
/// # Errors
/// Whatever opening its node gives; `EBUSY` when somebody has it.
pub(crate) fn open(name: &str) -> io::Result<Option<OwnedFd>> {
    let Some(node) = find(Path::new(PORTS), name) else {
        return Ok(None);
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open(Path::new("/dev").join(node))?;
    Ok(Some(file.into()))
}

/// The node of the port with a name.
fn find(ports: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(ports).ok()?.flatten().find_map(|entry| {
        let said = fs::read_to_string(entry.path().join("name")).ok()?;
        (said.trim_end() == name).then(|| PathBuf::from(entry.file_name()))
    })
}

#[cfg(test)]
mod tests;
