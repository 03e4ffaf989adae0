//! Where everything of one chain lies below its directory. Names are short: the path of a Unix
//! socket has 107 bytes at most.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::dir::TestDir;

/// All paths of one chain.
#[derive(Debug)]
pub struct Paths {
    dir: TestDir,
    logs: PathBuf,
    run: PathBuf,
}

impl Paths {
    pub(super) fn new(dir: TestDir) -> Result<Self> {
        let logs = dir.sub("log")?;
        let run = dir.sub("run")?;
        Ok(Self { dir, logs, run })
    }

    /// The directory of the whole run.
    pub fn dir(&self) -> &TestDir {
        &self.dir
    }

    /// Logs of all processes.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Sockets of the daemons. Empty again once all have ended.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// vhost-user socket of a VM's device.
    pub fn device(&self, vm: &str) -> PathBuf {
        self.run.join(format!("{vm}.vhost"))
    }

    /// Control socket of a VM's device.
    pub fn device_control(&self, vm: &str) -> PathBuf {
        self.run.join(format!("{vm}.ctl"))
    }

    /// Socket of an app VM at the accept proxy.
    pub fn wayland(&self, vm: &str) -> PathBuf {
        self.run.join(format!("{vm}.wl"))
    }

    /// Socket of a VM at the memory server.
    pub fn memory(&self, vm: &str) -> PathBuf {
        self.run.join(format!("{vm}.mem"))
    }

    /// Control socket of the compositor's device.
    pub fn compositor_control(&self) -> PathBuf {
        self.device_control(super::COMPOSITOR)
    }

    /// Where the accept proxy announces connections to the compositor's device.
    pub fn announce(&self) -> PathBuf {
        self.run.join("announce")
    }

    /// Control socket of the compositor itself.
    pub fn compositor_ctl(&self) -> PathBuf {
        self.run.join("screen.ctl")
    }

    /// The compositor's ordinary Wayland socket for tests, whose clients count as VM `vm`.
    pub fn test_socket(&self, vm: &str) -> PathBuf {
        self.run.join(format!("{vm}.test"))
    }
}
