//! The real proxy as a process.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use integration_tests::notify::NotifySocket;
use integration_tests::wait::{self, Deadline};
use integration_tests::{Command, Daemon, TestDir};
use nix::sys::signal::Signal;

use crate::device::FakeDevice;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_wl-accept-proxy");

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) daemon: Daemon,
    notify: NotifySocket,
    pub(crate) dir: TestDir,
}

impl Proxy {
    /// With VMs `name`, `colour`; unclaimed connections live for an hour.
    pub(crate) fn start(vms: &[(&str, &str)]) -> Result<Self> {
        Self::start_with(vms, "unclaimed-timeout = 3600.0")
    }

    /// With further lines of `[compositor]`.
    pub(crate) fn start_with(vms: &[(&str, &str)], compositor: &str) -> Result<Self> {
        let dir = TestDir::new()?;
        dir.sub("run")?;
        dir.sub("device")?;
        let config = dir.write("config.toml", config(dir.path(), vms, compositor))?;
        let notify = NotifySocket::bind(dir.join("notify"))?;
        let mut daemon = Command::new("wl-accept-proxy", BINARY, dir.path())
            .env("NOTIFY_SOCKET", notify.path())
            .option("--config", config)
            .spawn()?;
        daemon.wait_ready(&notify)?;
        Ok(Self {
            daemon,
            notify,
            dir,
        })
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.dir.join("device/ctl")
    }

    /// The device comes up, and its guest opens `wl-accept`.
    pub(crate) fn device(&self) -> Result<FakeDevice> {
        let mut device = FakeDevice::bind(&self.control())?;
        device.open_accept()?;
        Ok(device)
    }

    pub(crate) fn connect(&self, vm: &str) -> Result<UnixStream> {
        let path = self.dir.join("run").join(vm);
        UnixStream::connect(&path).with_context(|| path.display().to_string())
    }

    /// New configuration; returns when the proxy has read it.
    pub(crate) fn reload(&mut self, vms: &[(&str, &str)]) -> Result<()> {
        let text = config(self.dir.path(), vms, "unclaimed-timeout = 3600.0");
        self.reload_text(&text)
    }

    pub(crate) fn reload_text(&mut self, text: &str) -> Result<()> {
        self.dir.write("config.toml", text)?;
        self.daemon.signal(Signal::SIGHUP)?;
        self.daemon.wait_ready(&self.notify)
    }

    /// Its end, clean and with nothing left.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.daemon.stop_cleanly()?;
        let left = integration_tests::leak::files(&self.dir.join("run"))?;
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    }
}

fn config(dir: &Path, vms: &[(&str, &str)], compositor: &str) -> String {
    let mut text = format!(
        "[compositor]\ncontrol = {:?}\nannounce = {:?}\n{compositor}\n",
        dir.join("device/ctl"),
        dir.join("run/announce"),
    );
    for (name, colour) in vms {
        let socket = dir.join("run").join(name);
        text += &format!("[[vm]]\nname = \"{name}\"\ncolour = \"{colour}\"\nsocket = {socket:?}\n");
    }
    text
}

/// Waits until the peer has closed `stream`.
pub(crate) fn wait_closed(stream: &UnixStream) -> Result<()> {
    use std::io::Read as _;
    wait::readable(&[stream.as_fd()], Deadline::step()).context("not closed")?;
    let ended = match (&mut &*stream).read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    };
    ensure!(ended, "bytes came instead of the end");
    Ok(())
}
