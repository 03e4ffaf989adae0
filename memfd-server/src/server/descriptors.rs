//! Enough descriptors for all connections, enough watches for all memory.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Config;

/// Beside connections and listening sockets: standard streams, the loop, signals,
/// inotify, and one piece of memory at a time, generously.
const OWN_DESCRIPTORS: u64 = 64;

/// Raises the process's limit to what its user may have, and warns when the connections
/// of `config` could exceed it. (A connection holds a second descriptor while its reply
/// waits.)
///
/// # Errors
///
/// As `setrlimit`.
pub fn raise_descriptor_limit(config: &Config) -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let connections = config
        .vms
        .iter()
        .map(|vm| 2 * u64::from(vm.max_connections) + 1);
    let needed = connections.sum::<u64>() + OWN_DESCRIPTORS;
    if needed > hard {
        tracing::warn!(
            needed,
            limit = hard,
            "max-connections of all VMs exceed the limit of open files (LimitNOFILE=)"
        );
    }
    Ok(())
}

/// Warns when the memory of all VMs could need more watches than the user may have: the
/// last to ask would be refused within their quota. Silent where `/proc/sys` is hidden.
pub fn check_watch_limit(config: &Config) {
    let Ok(text) = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches") else {
        return;
    };
    let needed: u64 = config.vms.iter().map(|vm| vm.limits.max_count).sum();
    if let Ok(limit) = text.trim().parse::<u64>()
        && needed > limit
    {
        tracing::warn!(
            needed,
            limit,
            "max-count of all VMs exceed fs.inotify.max_user_watches"
        );
    }
}
