//! What it costs weston to serve clients of other VMs through the interposing library, against weston on
//! its own socket; and what the library costs those who use ordinary sockets.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use integration_tests::chain::ChainBuilder;
use integration_tests::process::{Command, Daemon};
use integration_tests::{Binaries, Chain, preload};

use super::series::{Series, Summary};
use super::{VM, table};

/// Sockets of the two westons in their runtime directory.
const PLAIN: &str = "wayland-plain";
const BEHIND: &str = "wayland-behind";

/// Others for each round of events, and of the socket pair: they are as much longer.
const LONGER: usize = 20;

/// What is measured, in the order of [`Variant::ALL`].
#[derive(Clone, Copy, Debug)]
enum Variant {
    /// weston as it is, on its own socket.
    Plain(Load),
    /// A local client of the weston that has the library.
    Local(Load),
    /// A client of another VM.
    Remote(Load),
    /// sendmsg and recvmsg without the library.
    Pair,
    /// The same with it.
    PairBehind,
}

#[derive(Clone, Copy, Debug)]
enum Load {
    Sync,
    Events,
}

impl Variant {
    const ALL: [Self; 8] = [
        Self::Plain(Load::Sync),
        Self::Local(Load::Sync),
        Self::Remote(Load::Sync),
        Self::Plain(Load::Events),
        Self::Local(Load::Events),
        Self::Remote(Load::Events),
        Self::Pair,
        Self::PairBehind,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Plain(Load::Sync) => "sync, weston",
            Self::Local(Load::Sync) => "sync, library, local",
            Self::Remote(Load::Sync) => "sync, library, VM",
            Self::Plain(Load::Events) => "64 x 4 KiB, weston",
            Self::Local(Load::Events) => "64 x 4 KiB, library, local",
            Self::Remote(Load::Events) => "64 x 4 KiB, library, VM",
            Self::Pair => "100 messages, socket pair",
            Self::PairBehind => "100 messages, library",
        }
    }
}

/// A host and two westons.
pub(super) struct Foreign {
    chain: Chain,
    westons: [Daemon; 2],
    rounds: usize,
    series: [Series; 8],
}

impl Foreign {
    pub(super) fn start(binaries: Binaries, rounds: usize) -> Result<Self> {
        let chain = ChainBuilder::new(binaries).vm(VM.0, VM.1).start_host()?;
        let plain = chain.in_desktop(weston(PLAIN, chain.log_dir()))?;
        let behind = chain.serving(weston(BEHIND, chain.log_dir()), BEHIND)?;
        Ok(Self {
            westons: [plain.spawn_ready()?, behind.spawn_ready()?],
            chain,
            rounds,
            series: Variant::ALL.map(|variant| Series::new(variant.name())),
        })
    }

    /// Measures everything once.
    pub(super) fn turn(&mut self) -> Result<()> {
        for (at, variant) in Variant::ALL.into_iter().enumerate() {
            let summary = self.measure(variant)?;
            self.series[at].push(summary);
        }
        Ok(())
    }

    /// Prints what was found.
    pub(super) fn finish(mut self) -> Result<()> {
        for weston in &mut self.westons {
            weston.stop_cleanly()?;
        }
        self.chain.stop()?;
        let [
            sync,
            local_sync,
            remote_sync,
            events,
            local,
            remote,
            pair,
            behind,
        ] = &self.series;
        table::print_times("weston and the interposing library", &self.series);
        table::print_ratios(&[
            (remote_sync, sync),
            (local_sync, sync),
            (remote, events),
            (local, events),
            (behind, pair),
        ]);
        Ok(())
    }

    fn measure(&self, variant: Variant) -> Result<Summary> {
        let program = self.chain.binaries().path("bench-peers")?;
        let peer = Command::new("measure-foreign", program, self.chain.log_dir());
        let (peer, rounds) = match variant {
            Variant::Plain(load) => self.client(peer, self.chain.desktop()?.join(PLAIN), load),
            Variant::Local(load) => self.client(peer, self.chain.desktop()?.join(BEHIND), load),
            Variant::Remote(load) => self.client(peer, self.chain.paths().wayland(VM.0), load),
            Variant::Pair => (peer.arg("pair"), self.rounds / LONGER),
            Variant::PairBehind => (
                peer.env("LD_PRELOAD", preload::library(self.chain.binaries())?)
                    .arg("pair"),
                self.rounds / LONGER,
            ),
        };
        let output = self.chain.paths().dir().join("bench-foreign.json");
        let rounds = rounds.max(1);
        let (status, log) = peer
            .option("--rounds", rounds.to_string())
            .option("--warm-up", rounds.div_ceil(LONGER).to_string())
            .option("--output", &output)
            .run()?;
        ensure!(status.success(), "{}: {status}\n{log}", variant.name());
        Summary::read(&output)
    }

    fn client(&self, peer: Command, display: PathBuf, load: Load) -> (Command, usize) {
        let peer = peer.env_remove("WAYLAND_SOCKET");
        let peer = peer.env("WAYLAND_DISPLAY", display);
        match load {
            Load::Sync => (peer.arg("sync"), self.rounds),
            Load::Events => (peer.arg("events"), self.rounds / LONGER),
        }
    }
}

/// weston without a screen, which says when it is ready.
fn weston(socket: &str, logs: &Path) -> Command {
    Command::new(format!("weston-{socket}"), "weston", logs).args([
        "--no-config",
        "--backend=headless-backend.so",
        "--shell=kiosk-shell.so",
        "--modules=systemd-notify.so",
        "--idle-time=0",
        &format!("--socket={socket}"),
    ])
}
