//! What the device keeps of its rights once it has started: its sockets, memory,
//! threads, and looking at its own descriptors.

use std::path::Path;

use virtio_wl::host::sandbox::{FILES, FsAccess, MEMFD, SOCKETS, Sandbox, SandboxError, THREADS};

#[cfg(test)]
mod tests;

/// Gives up everything that a device does not need. To be called before other
/// threads start. `sockets` are the files of its own listening sockets, which it
/// removes at the end.
///
/// # Errors
/// The process may then be restricted in part, and should end.
pub fn enter(sockets: &[&Path]) -> Result<(), SandboxError> {
    // Its own descriptors: to watch memory end, to open a received pipe anew, to see
    // a pending kick. Landlock does not follow such a link out of /proc.
    let mut sandbox = Sandbox::new()
        .path("/proc/self/", FsAccess::Read)
        .syscalls(SOCKETS)
        .syscalls(FILES)
        .syscalls(MEMFD)
        .syscalls(THREADS)
        // Pipes for the guest.
        .syscalls(&[libc::SYS_pipe2]);
    for socket in sockets {
        sandbox = sandbox.directory_of(socket, FsAccess::Sockets);
    }
    sandbox.apply().map(drop)
}
