//! What a hop through the device and through the whole chain costs, against a plain Unix socket.
//!
//! Absolute times of a shared machine say nothing, so every figure is a ratio to another figure of
//! the same run: all variants take turns, each time as a fresh process, and the median over the
//! turns is shown with its extremes.
//!
//! Everything runs on one core, unless asked otherwise. On several, a wake-up of a sleeping core
//! costs ten times one of a process on the same core, and which of both a variant meets is the
//! scheduler's choice: the figures would be those of the placement.
//!
//! `--vm` measures something else, what the kernel's driver costs a guest: see [`vms`].

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use integration_tests::chain::COMPOSITOR;
use integration_tests::process::{Command, Daemon};
use integration_tests::{Binaries, Chain};

use crate::cargo::Profile;
use crate::vm::Accel;
use crate::{cargo, deps};

mod foreign;
mod guest;
mod placement;
mod series;
mod table;
mod vms;

use self::foreign::Foreign;
use self::series::{Series, Summary};

/// Measure round trips, kicks and interrupts.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Turns, each with fresh processes
    #[arg(long, default_value_t = 7)]
    turns: usize,
    /// Counted round trips per turn and variant [default: 5000; with --vm 500]
    #[arg(long)]
    rounds: Option<usize>,
    /// Let the scheduler place the processes on all cores
    #[arg(long)]
    spread: bool,
    /// In virtual machines: what the kernel's driver costs a guest
    #[arg(long, conflicts_with_all = ["turns", "spread"])]
    vm: bool,
    /// Which build of our programs to measure
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
    /// With --vm: how the guest runs whose time is not counted in instructions
    #[arg(long, value_enum, default_value_t = Accel::Auto, requires = "vm")]
    accel: Accel,
}

/// Counted round trips per turn and variant, unless asked otherwise.
const ROUNDS: usize = 5000;

/// The app VM whose chain is measured.
const VM: (&str, &str) = ("work", "#c62828");

/// What is measured, in the order of [`Variant::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Variant {
    /// 64 bytes over a Unix socket to an echo.
    Socket,
    /// The same through a relay process.
    Relay,
    /// The same over a `Channel`, with the device in between.
    Channel,
    /// `wl_display.sync` on the compositor's own socket.
    Direct,
    /// `wl_display.sync` through sommelier, two devices and the compositor's bridge.
    Chain,
}

impl Variant {
    const ALL: [Self; 5] = [
        Self::Socket,
        Self::Relay,
        Self::Channel,
        Self::Direct,
        Self::Chain,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Socket => "64 bytes, Unix socket",
            Self::Relay => "64 bytes, through a relay",
            Self::Channel => "64 bytes, Channel",
            Self::Direct => "sync, direct",
            Self::Chain => "sync, whole chain",
        }
    }
}

/// Builds, starts everything that is to be measured, measures, prints.
pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(args.turns > 0, "nothing to measure: --turns is 0");
    ensure!(args.rounds != Some(0), "nothing to measure: --rounds is 0");
    if args.vm {
        return vms::run(args);
    }
    deps::require(&[deps::BUILD, deps::PROGRAMS])?;
    println!(
        "building ({:?}: a few minutes the first time) ...",
        args.profile
    );
    let binaries = cargo::build_everything(args.profile)?;
    if args.spread {
        println!("all cores (--spread): expect figures of the scheduler's placement");
    } else {
        println!("everything on core {}", placement::one_core()?);
    }
    let rounds = args.rounds.unwrap_or(ROUNDS);
    let mut foreign = Foreign::start(binaries.clone(), rounds)?;
    let bench = Bench::start(binaries, rounds)?;
    let mut series = Variant::ALL.map(|variant| Series::new(variant.name()));
    for turn in 1..=args.turns {
        println!("turn {turn} of {}", args.turns);
        for (variant, series) in Variant::ALL.into_iter().zip(&mut series) {
            series.push(bench.measure(variant)?);
        }
        foreign.turn()?;
    }
    bench.stop()?;
    table::print(&series);
    foreign.finish()
}

/// Everything that is measured, running.
struct Bench {
    chain: Chain,
    peers: Vec<Daemon>,
    rounds: String,
}

impl Bench {
    fn start(binaries: Binaries, rounds: usize) -> Result<Self> {
        let chain = integration_tests::chain::ChainBuilder::new(binaries)
            .vm(VM.0, VM.1)
            .start()?;
        let mut bench = Self {
            chain,
            peers: Vec::new(),
            rounds: rounds.to_string(),
        };
        let echo = bench.peer("echo")?.arg("echo").arg(bench.path("echo"));
        bench.peers.push(echo.spawn_ready()?);
        let relay = bench.peer("relay")?.arg("relay").arg(bench.path("relay"));
        bench
            .peers
            .push(relay.arg(bench.path("echo")).spawn_ready()?);
        // A device of its own, with the echo where Wayland would be.
        let device = bench
            .command("echo-device", "vhost-device-wl")?
            .option("--socket", bench.path("device"))
            .option("--wayland-sock", bench.path("echo"))
            .option("--control", bench.path("control"));
        bench.peers.push(device.spawn_ready()?);
        Ok(bench)
    }

    /// Runs one process that measures; what it found.
    fn measure(&self, variant: Variant) -> Result<Summary> {
        let peer = self.peer("measure")?;
        let paths = self.chain.paths();
        let command = match variant {
            Variant::Socket => peer.arg("socket").arg(self.path("echo")),
            Variant::Relay => peer.arg("socket").arg(self.path("relay")),
            Variant::Channel => peer
                .env("VIRTIO_WL_DEVICE", vhost_user(&self.path("device")))
                .arg("channel")
                .option("--control", self.path("control")),
            Variant::Direct => peer
                .env("WAYLAND_DISPLAY", paths.test_socket(VM.0))
                .arg("sync"),
            Variant::Chain => {
                let vm = self.chain.app(VM.0);
                let program = self.chain.binaries().path("bench-peers")?;
                self.chain
                    .sommelier(vm, "measure")?
                    .arg(program)
                    .arg("sync")
                    .option("--control", paths.device_control(VM.0))
                    .option("--control", paths.device_control(COMPOSITOR))
            }
        };
        let output = self.path("summary.json");
        let (status, log) = command
            .option("--rounds", &self.rounds)
            .option("--output", &output)
            .run()?;
        ensure!(status.success(), "{}: {status}\n{log}", variant.name());
        Summary::read(&output)
    }

    fn command(&self, name: &str, binary: &str) -> Result<Command> {
        let program = self.chain.binaries().path(binary)?;
        Ok(Command::new(name, program, self.chain.log_dir()))
    }

    fn peer(&self, name: &str) -> Result<Command> {
        self.command(name, "bench-peers")
    }

    /// A path in the directory of the run.
    fn path(&self, name: &str) -> PathBuf {
        self.chain.paths().dir().join(format!("bench-{name}"))
    }

    fn stop(mut self) -> Result<()> {
        for peer in &mut self.peers {
            peer.stop()?;
        }
        self.chain.stop()
    }
}

/// The address of an embedded device.
fn vhost_user(socket: &Path) -> String {
    format!("vhost-user:{}", socket.display())
}
