//! The host of one C program: a device process, and the paths where the program plays the rest.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration_tests::wait::Deadline;
use integration_tests::{Binaries, Command, Daemon, TestDir};

/// How long a program may run, under valgrind on a busy machine too. It only bounds a hang.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the memory server lets the guest have, which the programs know too.
const MAX_BYTES: u64 = 1 << 20;

/// Device and memory server of one guest.
pub(crate) struct World {
    device: Daemon,
    _memory_server: Option<Daemon>,
    dir: TestDir,
}

impl World {
    /// Memory is the device's own, without a quota.
    pub(crate) fn new() -> Result<Self> {
        let dir = TestDir::new()?;
        let device = device(&dir, |command| command)?;
        Ok(Self {
            device,
            _memory_server: None,
            dir,
        })
    }

    /// Memory comes from a memory server that allows [`MAX_BYTES`].
    pub(crate) fn with_quota() -> Result<Self> {
        let dir = TestDir::new()?;
        let socket = dir.join("memory.sock");
        let config = format!(
            "[[vm]]\nname = \"test\"\nsocket = \"{}\"\nmode = \"0600\"\nmax-bytes = {MAX_BYTES}\n",
            socket.display()
        );
        let config = dir.write("memory.toml", config)?;
        let binary = Binaries::beside_this_one()?.path("memfd-server")?;
        let memory_server = Command::new("memfd-server", binary, dir.path())
            .option("--config", config)
            .spawn_ready()?;
        let device = device(&dir, |command| {
            command.option("--wayland-sock", format!("{},name=memfd", socket.display()))
        })?;
        Ok(Self {
            device,
            _memory_server: Some(memory_server),
            dir,
        })
    }

    /// Where the device is, as `VIRTIO_WL_DEVICE` says it.
    pub(crate) fn address(&self) -> String {
        format!("vhost-user:{}", self.dir.join("device.sock").display())
    }

    /// A program that is this world's guest.
    pub(crate) fn command(&self, name: &str, program: &Path) -> Command {
        self.about(Command::new(name, program, self.dir.path()))
    }

    /// Tells a program about this world.
    fn about(&self, command: Command) -> Command {
        command
            .env("VIRTIO_WL_DEVICE", self.address())
            .env("HOST_SOCKET", self.dir.join("host.sock"))
            .env("ANNOUNCE_SOCKET", self.dir.join("announce.sock"))
            .env("CONTROL_SOCKET", self.dir.join("control.sock"))
            .env("DEVICE_PID", self.device.pid().to_string())
    }

    /// Runs a program, which must end well.
    pub(crate) fn run(&self, command: Command) -> Result<String> {
        let line = command.line();
        let mut program = command.spawn()?;
        let status: ExitStatus = program.wait_until(Deadline::after(PATIENCE))?;
        let log = program.log_text();
        ensure!(status.success(), "{}: {status}\n{log}", line.display());
        Ok(log)
    }
}

fn device(dir: &TestDir, options: impl FnOnce(Command) -> Command) -> Result<Daemon> {
    let binary = Binaries::beside_this_one()?.path("vhost-device-wl")?;
    let announce = format!("{},name=wl-accept", dir.join("announce.sock").display());
    let command = Command::new("device", binary, dir.path())
        .option("--socket", dir.join("device.sock"))
        .option("--control", dir.join("control.sock"))
        .option("--wayland-sock", dir.join("host.sock"))
        .option("--wayland-sock", announce);
    options(command).spawn_ready()
}
