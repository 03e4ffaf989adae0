//! What the command line asks for, checked.

use std::path::PathBuf;

use virtio_wl::host::listener::{Mode, Owner};
use virtio_wl::wire::Features;

use crate::args::{ServeArgs, WaylandSock};
use crate::backend::FEATURES;
use crate::core::memory::ForeignMemory;
use crate::core::names::{NameError, NameTable};
use crate::core::quota::Limits;

#[cfg(test)]
mod tests;

/// Most frontends one device serves: each costs three threads and about a dozen
/// descriptors.
pub const MAX_FRONTENDS: usize = 64;

/// How to serve.
#[derive(Debug)]
pub struct Config {
    /// Where the virtual machine monitor connects.
    pub socket: PathBuf,
    /// Mode of that socket's file.
    pub socket_mode: Mode,
    /// Owner of that socket's file.
    pub socket_owner: Option<Owner>,
    /// Where control requests come in.
    pub control: Option<PathBuf>,
    /// Where guest memory comes from, if not from this process.
    pub memfd_sock: Option<PathBuf>,
    /// What the guest can connect to from the start.
    pub names: NameTable,
    /// Frontends at once.
    pub max_frontends: usize,
    /// Bytes of memory.
    pub max_memory: u64,
    /// VFDs and queued bytes.
    pub limits: Limits,
    /// Writable memory that cannot be sealed.
    pub foreign: ForeignMemory,
    /// What the guest's driver is offered.
    pub features: Features,
    /// Whether to give up rights after start.
    pub sandbox: bool,
}

/// The command line asks for something that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// `--socket` is missing.
    #[error("--socket is missing: where the virtual machine monitor connects")]
    NoSocket,
    /// Two `--wayland-sock` of one name.
    #[error("two --wayland-sock options for {}: give one of them another name=", quote(.0))]
    SameName(String),
    /// A name cannot be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A number is out of range.
    #[error("{option} must be {from} to {to}")]
    Range {
        /// The option.
        option: &'static str,
        /// Least.
        from: u64,
        /// Most.
        to: u64,
    },
}

fn quote(name: &str) -> String {
    if name.is_empty() {
        "the default context".to_owned()
    } else {
        format!("{name:?}")
    }
}

impl TryFrom<ServeArgs> for Config {
    type Error = ConfigError;

    fn try_from(args: ServeArgs) -> Result<Self, ConfigError> {
        let frontends = args.max_frontends as u64;
        within("--max-frontends", frontends, 1, MAX_FRONTENDS as u64)?;
        within("--max-vfds", args.max_vfds, 1, u64::from(u32::MAX))?;
        Ok(Config {
            socket: args.socket.ok_or(ConfigError::NoSocket)?,
            socket_mode: args.socket_mode.unwrap_or(Mode::PRIVATE),
            socket_owner: args.socket_owner,
            control: args.control,
            memfd_sock: args.memfd_sock,
            names: names(&args.wayland_sock)?,
            max_frontends: args.max_frontends,
            max_memory: args.max_memory,
            limits: Limits {
                vfds: args.max_vfds,
                queued: args.max_queued,
            },
            foreign: args.foreign_memory.into(),
            features: args
                .without_feature
                .into_iter()
                .fold(FEATURES, |features, without| features - without.into()),
            sandbox: !args.no_sandbox,
        })
    }
}

fn within(option: &'static str, value: u64, from: u64, to: u64) -> Result<(), ConfigError> {
    if (from..=to).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::Range { option, from, to })
    }
}

fn names(socks: &[WaylandSock]) -> Result<NameTable, ConfigError> {
    let table = NameTable::new();
    for (i, sock) in socks.iter().enumerate() {
        if socks[..i].iter().any(|other| other.name == sock.name) {
            return Err(ConfigError::SameName(sock.name.clone()));
        }
        table.add_listening(&sock.name, &sock.path)?;
    }
    Ok(table)
}
