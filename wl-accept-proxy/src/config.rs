//! The configuration file, TOML.
//!
//! ```toml
//! [compositor]
//! control = "/run/virtio-wl/comp.ctl"         # control socket of the compositor's device
//! announce = "/run/virtio-wl/announce.sock"   # where that device finds the announcements
//! announce-mode = "0600"
//! announce-owner = "root:root"
//! unclaimed-timeout = 10.0                    # seconds
//!
//! [[vm]]
//! name = "work"
//! colour = "#4466cc"
//! socket = "/run/virtio-wl/work/wayland-0"    # not needed with socket activation
//! mode = "0660"
//! owner = "root:vm-work"
//! ```
//!
//! `id = 7` in a `[[vm]]` fixes the id the compositor sees; without it the id follows
//! from the name (see [`crate::ids`]).

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use virtio_wl::host::listener::{Endpoint, Mode, Owner};
use virtio_wl::label::{Colour, VmId, VmName};

use crate::desk::MAX_WAITING;
use crate::ids;

#[cfg(test)]
mod tests;

/// How long a connection may stay unclaimed by default.
const UNCLAIMED_TIMEOUT: f64 = 10.0;

/// Longest time a connection may stay unclaimed, in seconds.
const MAX_UNCLAIMED_TIMEOUT: f64 = 3600.0;

/// What the file says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The compositor's side.
    pub compositor: Compositor,
    /// The app VMs, with names, ids and sockets all different.
    pub vms: Vec<VmConfig>,
}

/// The compositor's side.
#[derive(Clone, Debug, PartialEq)]
pub struct Compositor {
    /// Control socket of its device.
    pub control: PathBuf,
    /// Where its device connects for announcements. Absolute.
    pub announce: PathBuf,
    /// Mode of that socket's file.
    pub announce_mode: Mode,
    /// Owner of that socket's file.
    pub announce_owner: Option<Owner>,
    /// How long a connection may stay unclaimed.
    pub unclaimed_timeout: Duration,
}

/// One app VM.
#[derive(Clone, Debug, PartialEq)]
pub struct VmConfig {
    /// Who it is, in the compositor's eyes.
    pub label: Label,
    /// Where its clients connect.
    pub endpoint: Endpoint,
}

/// Who a VM is: all that a record says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: VmName,
    /// Its id.
    pub id: VmId,
    /// Colour of its frames.
    pub colour: Colour,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    compositor: FileCompositor,
    #[serde(default)]
    vm: Vec<FileVm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileCompositor {
    control: PathBuf,
    announce: PathBuf,
    announce_mode: Option<Mode>,
    announce_owner: Option<Owner>,
    unclaimed_timeout: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileVm {
    name: VmName,
    colour: Colour,
    id: Option<u32>,
    socket: Option<PathBuf>,
    mode: Option<Mode>,
    owner: Option<Owner>,
}

impl Config {
    /// Checks the text of a file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text)?;
        let compositor = file.compositor.checked()?;
        if file.vm.len() > MAX_WAITING {
            return Err(ConfigError::TooMany);
        }
        let mut names = HashSet::new();
        let mut ids = HashSet::new();
        let mut sockets = HashSet::from([compositor.announce.clone()]);
        let mut vms = Vec::new();
        for vm in file.vm.into_iter().map(FileVm::into_config) {
            let Label { name, id, .. } = &vm.label;
            if !names.insert(name.clone()) {
                return Err(ConfigError::SameName(name.clone()));
            }
            if !ids.insert(*id) {
                return Err(ConfigError::SameId(name.clone()));
            }
            let socket = vm.endpoint.path.clone();
            if socket.is_some_and(|path| !sockets.insert(path)) {
                return Err(ConfigError::SameSocket(name.clone()));
            }
            vms.push(vm);
        }
        Ok(Self { compositor, vms })
    }

    /// The labels of all VMs.
    pub fn labels(&self) -> impl Iterator<Item = Label> {
        self.vms.iter().map(|vm| vm.label.clone())
    }
}

impl FileCompositor {
    fn checked(self) -> Result<Compositor, ConfigError> {
        let seconds = self.unclaimed_timeout.unwrap_or(UNCLAIMED_TIMEOUT);
        if !(seconds > 0.0 && seconds <= MAX_UNCLAIMED_TIMEOUT) {
            return Err(ConfigError::Timeout);
        }
        let announce =
            std::path::absolute(&self.announce).map_err(|source| ConfigError::Announce {
                path: self.announce,
                source,
            })?;
        Ok(Compositor {
            control: self.control,
            announce,
            announce_mode: self.announce_mode.unwrap_or(Mode::PRIVATE),
            announce_owner: self.announce_owner,
            unclaimed_timeout: Duration::from_secs_f64(seconds),
        })
    }
}

impl FileVm {
    fn into_config(self) -> VmConfig {
        VmConfig {
            label: Label {
                id: self.id.map_or_else(|| ids::from_name(&self.name), VmId),
                name: self.name,
                colour: self.colour,
            },
            endpoint: Endpoint {
                path: self.socket,
                mode: self.mode.unwrap_or(Mode::PRIVATE),
                owner: self.owner,
            },
        }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The announcements' socket is nowhere.
    #[error("cannot announce at {path}")]
    Announce {
        /// Its path as given.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, or not these keys.
    #[error("malformed configuration")]
    Syntax(#[from] toml::de::Error),
    /// The time is not a sensible one.
    #[error("unclaimed-timeout must be above 0 and at most {MAX_UNCLAIMED_TIMEOUT} seconds")]
    Timeout,
    /// Each VM needs a share of the connections that may wait.
    #[error("more than {MAX_WAITING} VMs")]
    TooMany,
    /// Two VMs have one name.
    #[error("two VMs are named {0}")]
    SameName(VmName),
    /// Two VMs have one id.
    #[error("VM {0} has the id of another VM; give it another one with id = …")]
    SameId(VmName),
    /// Two VMs have one socket, or one has the compositor's.
    #[error("the socket of VM {0} is used already")]
    SameSocket(VmName),
}
