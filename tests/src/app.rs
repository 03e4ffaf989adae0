//! Programs in an app VM, under `sommelier`.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::chain::{AppVm, Chain};
use crate::process::{Command, Daemon};

/// Variables of the tester's own desktop that would lead a program past the chain.
const DESKTOP_VARIABLES: [&str; 4] = [
    "WAYLAND_DISPLAY",
    "WAYLAND_SOCKET",
    "DISPLAY",
    "SOMMELIER_DISPLAY",
];

/// The environment of a program in a VM: no desktop but the one given, its own runtime directory
/// and home, a fixed locale.
pub(crate) fn guest_environment(command: Command, runtime_dir: &Path) -> Command {
    DESKTOP_VARIABLES
        .iter()
        .fold(command, |command, name| command.env_remove(name))
        .env("XDG_RUNTIME_DIR", runtime_dir)
        .env("XDG_CONFIG_HOME", runtime_dir)
        .env("XDG_CACHE_HOME", runtime_dir)
        .env("HOME", runtime_dir)
        .env("LC_ALL", "C.UTF-8")
        .env("NO_AT_BRIDGE", "1")
}

impl Chain {
    /// `sommelier PROGRAM ARGS…` in an app VM, as a command to be changed or spawned.
    ///
    /// # Errors
    /// When `sommelier` has not been built.
    pub fn sommelier(&self, vm: &AppVm, name: &str) -> Result<Command> {
        let sommelier = self.binaries().path("sommelier")?;
        let log = format!("{}-{name}", vm.name());
        let command = Command::new(log, sommelier, self.log_dir());
        Ok(guest_environment(command, vm.runtime_dir()).env("VIRTIO_WL_DEVICE", vm.device()))
    }

    /// Starts `sommelier PROGRAM ARGS…` in an app VM. Does not wait for a window.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn<A: AsRef<OsStr>>(
        &self,
        vm: &AppVm,
        program: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Daemon> {
        let command = self
            .sommelier(vm, &log_name(program))?
            .arg(program)
            .args(args);
        command.spawn()
    }

    /// Starts `sommelier --parent --socket=NAME` in an app VM and waits until it listens.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn spawn_parent(&self, vm: &AppVm, socket: &str) -> Result<Daemon> {
        self.sommelier(vm, &format!("parent-{socket}"))?
            .arg("--parent")
            .arg(format!("--socket={socket}"))
            .arg("--sd-notify=READY=1")
            .spawn_ready()
    }

    /// A program in an app VM as a client of the Wayland socket `display` (the name of a
    /// `sommelier --parent`'s socket, or the path of any other), as a command to be changed or
    /// spawned.
    pub fn client(
        &self,
        vm: &AppVm,
        display: impl AsRef<OsStr>,
        program: impl AsRef<OsStr>,
    ) -> Command {
        let program = program.as_ref();
        let name = format!("{}-{}", vm.name(), log_name(&program.to_string_lossy()));
        let command = Command::new(name, program, self.log_dir());
        guest_environment(command, vm.runtime_dir()).env("WAYLAND_DISPLAY", display)
    }

    /// Starts a program in an app VM as a client of the Wayland socket `display`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_client<A: AsRef<OsStr>>(
        &self,
        vm: &AppVm,
        display: impl AsRef<OsStr>,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Daemon> {
        let command = self.client(vm, display, program).args(args);
        command.spawn()
    }

    /// Runs a program that works in an app VM: a small window that shows some frames and ends.
    ///
    /// # Errors
    /// When it fails; with what it said.
    pub fn works(&self, vm: &AppVm) -> Result<()> {
        let client = self.test_client(vm, "pattern-client")?;
        let client = client.args(["--width=200", "--height=150", "--frames=10", "--exit"]);
        let (status, log) = client.run()?;
        ensure!(
            status.success(),
            "a program of {} failed ({status}):\n{log}",
            vm.name()
        );
        Ok(())
    }

    /// A test client of this workspace under `sommelier`, as a command to be changed or spawned.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn test_client(&self, vm: &AppVm, name: &str) -> Result<Command> {
        let program = self.binaries().path(name)?;
        Ok(self.sommelier(vm, name)?.arg(program))
    }
}

/// The last component of a program's path, for the name of its log.
fn log_name(program: &str) -> String {
    Path::new(program)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
