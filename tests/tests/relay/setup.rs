//! A chain whose compositor VM runs the relay beside a compositor with an ordinary socket.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use integration_tests::chain::{COMPOSITOR, ChainBuilder};
use integration_tests::{AppVm, Chain, Command, CompositorCtl, Daemon, Talk};

/// The VM that all clients of [`Relayed::start_ours`] count as: it has one socket for all.
pub(crate) const RELAYED: &str = "relayed";

/// Everything but the compositor, and the relay.
#[derive(Debug)]
pub(crate) struct Relayed {
    // In the order of their end.
    /// The compositor, when running.
    pub(crate) compositor: Option<Daemon>,
    /// The relay, when running.
    pub(crate) relay: Option<Daemon>,
    /// The rest.
    pub(crate) chain: Chain,
    runtime_dir: PathBuf,
}

impl Relayed {
    /// App VMs `personal` and `work`, and no relay or compositor yet.
    pub(crate) fn prepare() -> Result<Self> {
        Self::prepare_with(
            Chain::builder()?
                .vm("personal", "#2e7d32")
                .vm("work", "#c62828"),
        )
    }

    /// The app VMs of `builder`, and no relay or compositor yet.
    pub(crate) fn prepare_with(builder: ChainBuilder) -> Result<Self> {
        let mut chain = builder.prepare()?;
        chain.start_memory_server()?;
        for index in 0..chain.apps().len() {
            chain.start_app_device(index)?;
        }
        chain.start_compositor_device()?;
        chain.start_accept_proxy()?;
        let runtime_dir = chain.paths().dir().sub("desk")?;
        Ok(Self {
            compositor: None,
            relay: None,
            chain,
            runtime_dir,
        })
    }

    /// The compositor's `XDG_RUNTIME_DIR`.
    pub(crate) fn runtime_dir(&self) -> &Path {
        &self.runtime_dir
    }

    /// The compositor's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.runtime_dir.join("wayland-3")
    }

    /// Starts the relay, which gets ready whether or not a compositor is there.
    pub(crate) fn start_relay(&mut self, args: &[&str]) -> Result<()> {
        let binary = self.chain.binaries().path("virtio-wl-relay")?;
        let command = Command::new("relay", binary, self.chain.log_dir());
        self.start_relay_as(command, args)
    }

    /// Starts the relay, which may have no more than `count` files open.
    pub(crate) fn start_relay_with_files(&mut self, count: u32) -> Result<()> {
        let binary = self.chain.binaries().path("virtio-wl-relay")?;
        let script = format!("ulimit -n {count} && exec \"$0\" \"$@\"");
        let command = Command::new("relay", "sh", self.chain.log_dir())
            .args(["-c", &script])
            .arg(binary);
        self.start_relay_as(command, &[])
    }

    fn start_relay_as(&mut self, command: Command, args: &[&str]) -> Result<()> {
        let device = self.chain.paths().device(COMPOSITOR);
        let command = command
            .env(
                "VIRTIO_WL_DEVICE",
                format!("vhost-user:{}", device.display()),
            )
            .env("XDG_RUNTIME_DIR", &self.runtime_dir)
            .env("WAYLAND_DISPLAY", "wayland-3")
            .args(args);
        self.relay = Some(command.spawn_ready()?);
        Ok(())
    }

    /// Starts our own compositor, with nothing but an ordinary socket.
    pub(crate) fn start_ours(&mut self) -> Result<()> {
        self.start_ours_with(&["--size", "1280x800"])
    }

    fn start_ours_with(&mut self, args: &[&str]) -> Result<()> {
        let binary = self.chain.binaries().path("virtio-wl-compositor")?;
        let socket = self.socket();
        let test_socket = format!("{},name={RELAYED},colour=#607d8b", socket.display());
        let command = Command::new("compositor", binary, self.chain.log_dir())
            .env("XDG_RUNTIME_DIR", &self.runtime_dir)
            .arg("--no-listen")
            .args(args)
            .option("--control", self.chain.paths().compositor_ctl())
            .option("--test-socket", test_socket);
        self.compositor = Some(command.spawn_ready()?);
        Ok(())
    }

    /// The control socket of our own compositor.
    pub(crate) fn ctl(&self) -> Result<CompositorCtl> {
        self.chain.ctl()
    }

    /// The relay and our own compositor, with the app VMs `personal` and `work`.
    pub(crate) fn ours() -> Result<Self> {
        Self::ours_with(&["--size", "1280x800"])
    }

    /// The same with arguments for the compositor.
    pub(crate) fn ours_with(args: &[&str]) -> Result<Self> {
        let mut relayed = Self::prepare()?;
        relayed.start_ours_with(args)?;
        relayed.start_relay(&[])?;
        Ok(relayed)
    }

    /// Stops everything; every daemon of ours must end with status 0 and leave no file.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.relay.as_mut().context("running")?.stop_cleanly()?;
        if let Some(compositor) = &mut self.compositor {
            compositor.stop()?;
        }
        self.chain.stop()
    }
}

/// A window that shows a frame whenever it is told to.
pub(crate) fn stepping(chain: &Chain, vm: &AppVm, expected: &Path) -> Result<Talk> {
    let client = chain.test_client(vm, "pattern-client")?;
    let client = client.args(["--width=200", "--height=150", "--frames=5", "--step"]);
    let title = format!("--title={}", vm.name());
    let mut client = client.arg(title).option("--expected", expected).talk()?;
    ensure!(client.line()? == "frame 0", "no first frame");
    Ok(client)
}

/// A window that stays, once it is shown by our own compositor.
pub(crate) fn staying(relayed: &Relayed, vm: &str) -> Result<Daemon> {
    let chain = &relayed.chain;
    let client = chain.test_client(chain.app(vm), "pattern-client")?;
    let title = format!("--title={vm}");
    let client = client
        .args(["--width=200", "--height=150", &title])
        .spawn()?;
    relayed.ctl()?.wait_title(RELAYED, &format!("{vm} done"))?;
    Ok(client)
}
