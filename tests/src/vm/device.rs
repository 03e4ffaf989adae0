//! The `vhost-device-wl` of a VM without a chain.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::bin::Binaries;
use crate::process::{Command, Daemon};

/// A device process of its own, with a control socket.
#[derive(Debug)]
pub struct WlDevice {
    binaries: Binaries,
    daemon: Daemon,
    args: Vec<OsString>,
    dir: PathBuf,
    logs: PathBuf,
}

impl WlDevice {
    /// Starts it with its sockets in `dir` and its log in `logs`.
    pub(super) fn start(
        binaries: &Binaries,
        args: &[OsString],
        dir: &Path,
        logs: &Path,
    ) -> Result<Self> {
        Ok(Self {
            daemon: spawn(binaries, args, dir, logs)?,
            binaries: binaries.clone(),
            args: args.to_vec(),
            dir: dir.to_owned(),
            logs: logs.to_owned(),
        })
    }

    /// The process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Its vhost-user socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("wl.vhost")
    }

    /// Its control socket.
    pub fn control(&self) -> PathBuf {
        self.dir.join("wl.ctl")
    }

    /// Starts it again after its end, at the same sockets.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn restart(&mut self) -> Result<()> {
        self.daemon = spawn(&self.binaries, &self.args, &self.dir, &self.logs)?;
        Ok(())
    }

    /// The same with other arguments than before, besides those for its sockets.
    ///
    /// # Errors
    /// When the one before does not end in order, or the new one does not get ready.
    pub fn restart_with<S: Into<OsString>>(
        &mut self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<()> {
        self.daemon.stop_cleanly()?;
        self.args = args.into_iter().map(Into::into).collect();
        self.restart()
    }

    /// `vhost-device-wl ctl`; the JSON it printed.
    ///
    /// # Errors
    /// When it fails; with what it said.
    pub fn ctl(&self, args: &[&str]) -> Result<Value> {
        let output = std::process::Command::new(self.binaries.path("vhost-device-wl")?)
            .arg("ctl")
            .arg("--control")
            .arg(self.control())
            .args(args)
            .output()
            .context("cannot run vhost-device-wl ctl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ctl {args:?}: {}", said.trim());
        serde_json::from_slice(&output.stdout).context("ctl output")
    }
}

fn spawn(binaries: &Binaries, args: &[OsString], dir: &Path, logs: &Path) -> Result<Daemon> {
    Command::new("device", binaries.path("vhost-device-wl")?, logs)
        .option("--socket", dir.join("wl.vhost"))
        .option("--control", dir.join("wl.ctl"))
        .args(args)
        .spawn_ready()
}
