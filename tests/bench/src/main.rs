//! The processes that `cargo xtask bench` measures, one role each.
//!
//! On the host every figure comes from a process of its own, so that no run inherits the
//! placement on cores or the warm caches of another. The result is one
//! line of JSON; see [`timing::Summary`] for its fields. Inside a guest one process
//! measures everything: see [`guest`].

mod channel;
mod counters;
mod events;
mod guest;
mod pair;
mod peer;
mod socket;
mod sync;
mod timing;

use std::{io::Write, path::PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about, version)]
struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Send back what arrives, for every connection to a listening socket.
    Echo {
        /// Where to listen.
        listen: PathBuf,
    },
    /// Send back what arrives on standard input, which is a socket.
    Reflect,
    /// Take and give bytes as each connection to a listening socket says.
    Traffic {
        /// Where to listen.
        listen: PathBuf,
    },
    /// Pass bytes between every accepted connection and a new one to another socket.
    Relay {
        /// Where to listen.
        listen: PathBuf,
        /// Where to connect for each connection.
        connect: PathBuf,
    },
    /// Measure round trips over a Unix socket.
    Socket {
        /// An echo to connect to.
        connect: PathBuf,
        /// Bytes a round trip carries each way.
        #[arg(long, default_value_t = 64)]
        bytes: usize,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Measure round trips over a `Channel` of the device in `VIRTIO_WL_DEVICE`.
    Channel {
        /// Context name of an echo; empty for the unnamed one.
        #[arg(long, default_value = "")]
        name: String,
        /// Bytes a round trip carries each way.
        #[arg(long, default_value_t = 64)]
        bytes: usize,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Measure `wl_display.sync` on the server in `WAYLAND_DISPLAY` or `WAYLAND_SOCKET`.
    Sync {
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Measure 64 times 4 KiB of events of the server in `WAYLAND_DISPLAY` or `WAYLAND_SOCKET`.
    Events {
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Measure messages over a socket pair within this process, a hundred at a time.
    Pair {
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Measure in a guest, as the lines of standard input say.
    Guest {
        /// Bytes of one piece of shared memory.
        #[arg(long, default_value_t = 64 * 1024)]
        mapping: u64,
        /// Tell apart how long the only processor sleeps: where its time is its instructions.
        #[arg(long)]
        instructions: bool,
    },
}

/// How much to measure.
#[derive(Debug, Clone, clap::Args)]
struct Rounds {
    /// Round trips before the first counted one.
    #[arg(long, default_value_t = 500)]
    warm_up: usize,
    /// Counted round trips.
    #[arg(long, default_value_t = 5000)]
    rounds: usize,
    /// Control socket of a device whose kicks and interrupts are counted meanwhile.
    #[arg(long)]
    control: Vec<PathBuf>,
    /// Write the summary here instead of to standard output.
    #[arg(long)]
    output: Option<PathBuf>,
}

fn main() -> Result<()> {
    let (summary, output) = match Args::parse().role {
        Role::Echo { listen } => return peer::echo(&listen),
        Role::Reflect => return peer::reflect(),
        Role::Traffic { listen } => return peer::traffic(&listen),
        Role::Guest {
            mapping,
            instructions,
        } => return guest::run(mapping, instructions),
        Role::Relay { listen, connect } => return peer::relay(&listen, &connect),
        Role::Socket {
            connect,
            bytes,
            rounds,
        } => (socket::measure(&connect, bytes, &rounds)?, rounds.output),
        Role::Channel {
            name,
            bytes,
            rounds,
        } => (channel::measure(&name, bytes, &rounds)?, rounds.output),
        Role::Sync { rounds } => (sync::measure(&rounds)?, rounds.output),
        Role::Events { rounds } => (events::measure(&rounds)?, rounds.output),
        Role::Pair { rounds } => (pair::measure(&rounds)?, rounds.output),
    };
    let json = serde_json::to_string(&summary)?;
    match output {
        Some(path) => {
            std::fs::write(&path, json).with_context(|| format!("cannot write {}", path.display()))
        }
        None => writeln!(std::io::stdout(), "{json}").context("cannot print"),
    }
}
