//! The configuration file, TOML. Sizes are bytes, as a number or as `"64 MiB"`.
//!
//! ```toml
//! [defaults]                # for VMs that do not say otherwise; all may be left out
//! max-bytes = "256 MiB"     # memory held at the same time
//! max-count = 1024          # pieces of memory held at the same time
//! max-size = "64 MiB"       # of one piece
//! max-rate = 500            # requests per second
//! max-connections = 64      # open at the same time
//!
//! [[vm]]
//! name = "work"
//! socket = "/run/memfd-server/work.sock"   # not needed with socket activation
//! mode = "0660"
//! owner = "root:vm-work"
//! max-bytes = "512 MiB"
//! ```

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Deserialize;
use virtio_wl::host::ledger::Limits;
use virtio_wl::host::listener::{Endpoint, Mode, Owner};
use virtio_wl::label::VmName;

mod size;
#[cfg(test)]
mod tests;

pub use size::ByteSize;

/// Most of any size or sum of sizes in bytes (1 PiB): far beyond any host's memory, and
/// far from where arithmetic ends.
const MAX_BYTES: u64 = 1 << 50;

/// Most connections or pieces of memory in the configuration of one VM: a piece costs a
/// watch, a connection a descriptor, and there are limits to both.
const MAX_COUNT: u64 = 1 << 20;

/// What the file says.
#[derive(Debug)]
pub struct Config {
    /// The VMs, with names and sockets all different.
    pub vms: Vec<VmConfig>,
}

/// One VM.
#[derive(Clone, Debug, PartialEq)]
pub struct VmConfig {
    /// Its name.
    pub name: VmName,
    /// Where it asks.
    pub endpoint: Endpoint,
    /// Memory it may hold.
    pub limits: Limits,
    /// Requests per second.
    pub max_rate: u32,
    /// Connections at the same time.
    pub max_connections: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    defaults: Quota,
    #[serde(default)]
    vm: Vec<Vm>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Quota {
    max_bytes: Option<ByteSize>,
    max_count: Option<u64>,
    max_size: Option<ByteSize>,
    max_rate: Option<u32>,
    max_connections: Option<u32>,
}

// serde cannot both flatten the quota and refuse unknown keys, so it is written twice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Vm {
    name: VmName,
    socket: Option<PathBuf>,
    mode: Option<Mode>,
    owner: Option<Owner>,
    max_bytes: Option<ByteSize>,
    max_count: Option<u64>,
    max_size: Option<ByteSize>,
    max_rate: Option<u32>,
    max_connections: Option<u32>,
}

impl Config {
    /// Checks the text of a file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text)?;
        if file.vm.is_empty() {
            return Err(ConfigError::NoVm);
        }
        let mut seen = HashSet::new();
        let mut sockets = HashSet::new();
        let mut vms = Vec::new();
        for vm in file.vm {
            let vm = vm.checked(file.defaults)?;
            if !seen.insert(vm.name.clone()) {
                return Err(ConfigError::SameName(vm.name));
            }
            let socket = vm.endpoint.path.clone();
            if socket.is_some_and(|path| !sockets.insert(path)) {
                return Err(ConfigError::SameSocket(vm.name));
            }
            vms.push(vm);
        }
        Ok(Self { vms })
    }
}

impl Vm {
    fn checked(self, defaults: Quota) -> Result<VmConfig, ConfigError> {
        let bytes = |own: Option<ByteSize>, default: Option<ByteSize>, fallback: u64| {
            own.or(default).map_or(fallback, |size| size.0)
        };
        let limits = Limits {
            max_bytes: bytes(self.max_bytes, defaults.max_bytes, 256 << 20),
            max_count: self.max_count.or(defaults.max_count).unwrap_or(1024),
            max_size: bytes(self.max_size, defaults.max_size, 64 << 20),
        };
        let max_rate = self.max_rate.or(defaults.max_rate).unwrap_or(500);
        let max_connections = self.max_connections.or(defaults.max_connections);
        let max_connections = max_connections.unwrap_or(64);
        let name = &self.name;
        in_range(name, "max-bytes", limits.max_bytes, MAX_BYTES)?;
        in_range(name, "max-count", limits.max_count, MAX_COUNT)?;
        in_range(name, "max-size", limits.max_size, MAX_BYTES)?;
        in_range(name, "max-rate", max_rate.into(), u32::MAX.into())?;
        in_range(name, "max-connections", max_connections.into(), MAX_COUNT)?;
        Ok(VmConfig {
            name: self.name,
            endpoint: Endpoint {
                path: self.socket,
                mode: self.mode.unwrap_or(Mode::PRIVATE),
                owner: self.owner,
            },
            limits,
            max_rate,
            max_connections,
        })
    }
}

fn in_range(vm: &VmName, key: &'static str, value: u64, max: u64) -> Result<(), ConfigError> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    let vm = vm.clone();
    Err(ConfigError::Range { vm, key, max })
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not TOML, or not these keys.
    #[error("malformed configuration")]
    Syntax(#[from] toml::de::Error),
    /// There is no `[[vm]]`.
    #[error("no [[vm]] is configured: nobody could ask for memory")]
    NoVm,
    /// Two VMs have one name.
    #[error("two VMs are named {0}")]
    SameName(VmName),
    /// Two VMs have one socket: they could not be told apart.
    #[error("VM {0} has the socket of another VM")]
    SameSocket(VmName),
    /// A number is 0 or absurd.
    #[error("VM {vm}: {key} must be 1 to {max}")]
    Range {
        /// The VM.
        vm: VmName,
        /// The key.
        key: &'static str,
        /// Most allowed.
        max: u64,
    },
}
