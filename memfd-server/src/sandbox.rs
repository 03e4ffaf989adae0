//! What the server keeps once it listens.
//!
//! * its configuration's directory, to read (a file that is replaced is a new file)
//! * the directories of its sockets, to remove them at the end and make others on reload
//! * making, sealing and watching memory
//! * Unix sockets

use std::path::Path;

use virtio_wl::host::sandbox::{FILES, FsAccess, MEMFD, SOCKETS, Sandbox, SandboxError};

use crate::config::Config;

#[cfg(test)]
mod tests;

/// Gives up everything else.
///
/// # Errors
///
/// The process may then be restricted in part, and should end.
pub fn apply(config_path: &Path, config: &Config) -> Result<(), SandboxError> {
    let mut sandbox = Sandbox::new()
        .directory_of(config_path, FsAccess::Read)
        .syscalls(SOCKETS)
        .syscalls(FILES)
        .syscalls(MEMFD);
    for socket in config
        .vms
        .iter()
        .filter_map(|vm| vm.endpoint.path.as_deref())
    {
        sandbox = sandbox.directory_of(socket, FsAccess::Sockets);
    }
    sandbox.apply().map(drop)
}
