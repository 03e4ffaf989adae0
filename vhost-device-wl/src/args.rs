//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use virtio_wl::host::listener::{Mode, Owner};

use virtio_wl::wire::Features;

use crate::core::memory::ForeignMemory;
use crate::core::quota::Limits;

#[cfg(test)]
mod tests;

/// virtio_wl device as a vhost-user backend: one virtual machine's way to the
/// Wayland sockets of its host.
#[derive(Debug, Parser)]
#[command(
    name = "vhost-device-wl",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Args {
    /// What to do instead of serving a device.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve a device.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a running device, or change what its guest can connect to; prints JSON.
    Ctl(CtlArgs),
}

/// Options of the device itself.
#[derive(Debug, ClapArgs)]
pub struct ServeArgs {
    /// Listen here for the virtual machine monitor.
    #[arg(long, value_name = "PATH", required = true)]
    pub socket: Option<PathBuf>,
    /// Mode of that socket, 0600 if not given: for a monitor that runs as another user.
    #[arg(long, value_name = "MODE")]
    pub socket_mode: Option<Mode>,
    /// Owner of that socket: user, user:group or :group, by name or number.
    #[arg(long, value_name = "OWNER")]
    pub socket_owner: Option<Owner>,
    /// Let the guest connect to this socket, as NAME or, without one, as its
    /// default context. May be repeated; names must differ.
    #[arg(long, value_name = "PATH[,name=NAME]")]
    pub wayland_sock: Vec<WaylandSock>,
    /// Serve control requests here (mode 0600).
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// Take guest memory from the memfd-server at this socket, so that its quota
    /// covers all of it.
    #[arg(long, value_name = "PATH")]
    pub memfd_sock: Option<PathBuf>,
    /// Serve up to this many frontends at once. A virtual machine is one; more are
    /// for several processes that stand for one guest.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub max_frontends: usize,
    /// Most bytes of memory made for the guest.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_MEMORY)]
    pub max_memory: u64,
    /// Most VFDs of the guest.
    #[arg(long, value_name = "N", default_value_t = Limits::default().vfds)]
    pub max_vfds: u64,
    /// Most bytes that may wait in the device for peers that do not read, all
    /// connections together. A single connection is dropped at 1 MiB, a pipe at 16.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().queued)]
    pub max_queued: u64,
    /// Writable memory from a peer that cannot be sealed against shrinking.
    #[arg(long, value_name = "POLICY", value_enum, default_value_t = Foreign::Copy)]
    pub foreign_memory: Foreign,
    /// Do not offer this feature to the guest's driver, for testing drivers. May be
    /// repeated.
    #[arg(long, value_name = "NAME", value_enum)]
    pub without_feature: Vec<Feature>,
    /// Keep all rights of the user who started this. For debugging.
    #[arg(long)]
    pub no_sandbox: bool,
}

/// Default of `--max-memory`, bytes: a few screens of pixels for each of many windows,
/// yet a fraction of a host.
pub const DEFAULT_MAX_MEMORY: u64 = 1 << 30;

/// `--without-feature`, by the names of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "each is a feature, documented there")]
pub enum Feature {
    TransFlags,
    SendFences,
    UseShmem,
    Refresh,
    Credit,
}

impl From<Feature> for Features {
    fn from(feature: Feature) -> Self {
        match feature {
            Feature::TransFlags => Features::TRANS_FLAGS,
            Feature::SendFences => Features::SEND_FENCES,
            Feature::UseShmem => Features::USE_SHMEM,
            Feature::Refresh => Features::REFRESH,
            Feature::Credit => Features::CREDIT,
        }
    }
}

/// `--foreign-memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Foreign {
    /// Give the guest a copy as of now.
    Copy,
    /// Give the guest a dead VFD.
    Refuse,
}

impl From<Foreign> for ForeignMemory {
    fn from(policy: Foreign) -> Self {
        match policy {
            Foreign::Copy => ForeignMemory::Copy,
            Foreign::Refuse => ForeignMemory::Refuse,
        }
    }
}

/// `--wayland-sock`, spelled as crosvm does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaylandSock {
    /// The listening socket.
    pub path: PathBuf,
    /// Name of the context; empty for the default one.
    pub name: String,
}

impl FromStr for WaylandSock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let path = parts.next().unwrap_or_default();
        if path.is_empty() {
            return Err("the path is missing".to_owned());
        }
        let mut name = None;
        for part in parts {
            match part.split_once('=') {
                Some(("name", value)) if name.is_none() => name = Some(value.to_owned()),
                _ => return Err(format!("expected name=NAME once, got {part:?}")),
            }
        }
        Ok(WaylandSock {
            path: path.into(),
            name: name.unwrap_or_default(),
        })
    }
}

/// Options of `ctl`.
#[derive(Debug, ClapArgs)]
pub struct CtlArgs {
    /// Control socket of the device.
    #[arg(long, value_name = "PATH")]
    pub control: PathBuf,
    /// What to ask.
    #[command(subcommand)]
    pub request: CtlRequest,
}

/// Requests of `ctl`.
#[derive(Debug, Subcommand)]
pub enum CtlRequest {
    /// Names the guest can connect to, VFDs with counts and bytes, use of limits.
    List {
        /// Only the names.
        #[arg(long)]
        sockets_only: bool,
    },
    /// Virtqueues: indices, pending kicks, counters, VFDs that wait.
    Queues,
    /// Let the guest connect to a socket.
    ///
    /// With PATH: a listening socket, connected to whenever the guest opens NAME.
    /// Without: the connected socket that is this command's standard input, which goes
    /// to the guest that opens NAME first; a %d in NAME becomes the next number.
    Add {
        /// Name of the context.
        name: String,
        /// The listening socket.
        path: Option<PathBuf>,
    },
    /// Take a name away. Connections made through it live on.
    Remove {
        /// Name of the context.
        name: String,
    },
}
