//! A guest that measures, step by step, and the counters of its device.

use std::path::Path;

use anyhow::{Context as _, Result};
use integration_tests::dir::TestDir;
use integration_tests::process::{Command, Daemon};
use integration_tests::vm::qemu::Accel;
use integration_tests::vm::{Assets, Image, Program, Vm};
use serde::Deserialize;
use serde_json::{Value, json};

/// The program on both sides.
const PROGRAM: &str = "bench-peers";
/// The peers on the host: role, which is the name of the socket too, and what the device calls it.
const PEERS: [(&str, &str); 2] = [("echo", ""), ("traffic", ",name=traffic")];

/// A booted guest with the measuring program in it.
#[derive(Debug)]
pub(super) struct Guest {
    program: Program,
    vm: Vm,
    peers: Vec<Daemon>,
    _dir: TestDir,
}

/// What one step took and caused.
#[derive(Debug)]
pub(super) struct Done {
    /// What was timed.
    pub(super) parts: Vec<Part>,
    /// Counted by guest and device.
    pub(super) counts: Counts,
}

/// Counters; of one step: how much they have grown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Notifications of the device by the guest.
    pub(super) kicks: u64,
    /// Notifications of the guest by the device.
    pub(super) interrupts: u64,
    /// Interrupts the guest has taken: several notifications can be one.
    pub(super) taken: u64,
    /// Messages with data to the guest.
    pub(super) messages: u64,
}

/// What the program answers: see `tests/bench/src/guest`.
#[derive(Debug, Deserialize)]
struct Answer {
    parts: Vec<Part>,
    interrupts: u64,
}

/// One thing that was timed. Nanoseconds of the guest's clock.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    pub(super) name: String,
    /// From begin to end.
    pub(super) elapsed: Spread,
    /// Without the time that the processor slept, where that is known.
    pub(super) busy: Option<Spread>,
}

/// Extremes and median.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Spread {
    pub(super) min: u64,
    pub(super) p50: u64,
    pub(super) max: u64,
}

impl Guest {
    /// Boots, and starts the program.
    pub(super) fn boot(
        assets: &Assets,
        accel: Accel,
        cpus: u32,
        instructions: bool,
    ) -> Result<Self> {
        let dir = TestDir::new()?;
        let mut builder = Vm::builder(assets, Image::Bare).accel(accel).cpus(cpus);
        let mut peers = Vec::new();
        for (role, name) in PEERS {
            let socket = dir.path().join(role);
            peers.push(peer(assets, role, &socket, dir.path())?);
            let context = format!("{}{name}", socket.display());
            builder = builder.device_arg("--wayland-sock").device_arg(context);
        }
        let vm = builder.start()?;
        let mut argv = vec![PROGRAM, "guest"];
        if instructions {
            argv.push("--instructions");
        }
        // Only root may read how long the processor sleeps.
        let program = vm.command(argv).root().start()?;
        Ok(Self {
            program,
            vm,
            peers,
            _dir: dir,
        })
    }

    /// Has one step done.
    pub(super) fn step(&mut self, name: &str, times: usize) -> Result<Done> {
        let before = self.counts()?;
        let taken = self.taken()?;
        let answer = self.ask(&json!({ name: times }))?;
        let after = self.counts()?;
        Ok(Done {
            counts: Counts {
                kicks: after.kicks - before.kicks,
                interrupts: after.interrupts - before.interrupts,
                taken: answer.interrupts - taken,
                messages: after.messages - before.messages,
            },
            parts: answer.parts,
        })
    }

    /// Interrupts the guest has taken so far.
    fn taken(&mut self) -> Result<u64> {
        Ok(self.ask(&json!({ "nothing": 1 }))?.interrupts)
    }

    fn ask(&mut self, step: &Value) -> Result<Answer> {
        self.program.input(format!("{step}\n"))?;
        let line = self.program.line()?;
        serde_json::from_str(&line).with_context(|| format!("{step}: {line}"))
    }

    /// What the device has counted so far.
    fn counts(&mut self) -> Result<Counts> {
        let device = self.vm.device()?;
        let queues = device.ctl(&["queues"])?;
        let vfds = device.ctl(&["list"])?;
        let queues = queues["queues"].as_array().context("queues of a device")?;
        let vfds = vfds["vfds"].as_array().context("VFDs of a device")?;
        let sum = |entries: &[Value], path: &str| {
            let values = entries.iter().map(|entry| entry.pointer(path)?.as_u64());
            let sum: Option<u64> = values.sum();
            sum.with_context(|| format!("no {path} in what the device counts"))
        };
        Ok(Counts {
            kicks: sum(queues, "/kicks")?,
            interrupts: sum(queues, "/interrupts")?,
            messages: sum(vfds, "/to_guest/messages")?,
            taken: 0,
        })
    }

    /// Ends everything in order.
    pub(super) fn stop(mut self) -> Result<()> {
        self.program.end_input()?;
        self.program.success()?;
        self.vm.stop()?;
        self.peers
            .iter_mut()
            .try_for_each(|peer| peer.stop().map(drop))
    }
}

impl Done {
    /// One of what was timed.
    pub(super) fn part(&self, name: &str) -> Result<&Part> {
        let part = self.parts.iter().find(|part| part.name == name);
        part.with_context(|| format!("{name:?} was not timed"))
    }
}

impl Part {
    /// Instructions that the guest ran, where its time is their number.
    pub(super) fn instructions(&self) -> Result<Spread> {
        self.busy.context("the guest's sleep was not told apart")
    }
}

fn peer(assets: &Assets, role: &str, socket: &Path, logs: &Path) -> Result<Daemon> {
    Command::new(role, assets.binaries().path(PROGRAM)?, logs)
        .arg(role)
        .arg(socket)
        .spawn_ready()
}
