//! The whole chain: memory server, devices, accept proxy, compositor, for any number of app VMs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::bin::Binaries;
use crate::ctl::CompositorCtl;
use crate::dir::TestDir;
use crate::leak;
use crate::process::{self, Command, Daemon};

mod config;
mod paths;

pub use paths::Paths;

/// Name of the compositor's VM, at its device and at the memory server.
pub const COMPOSITOR: &str = "compositor";

/// Guests that may share one app device: each `sommelier` is a guest driver of its own.
const MAX_FRONTENDS: &str = "16";

/// An app VM to be made.
#[derive(Clone, Debug)]
pub struct VmSpec {
    /// Its name, drawn on its frames.
    pub name: String,
    /// Colour of its frames, `#rrggbb`.
    pub colour: String,
    /// Further lines of its `[[vm]]` table at the memory server, e.g. `max-bytes = 1048576`.
    pub memory_limits: String,
    /// Further arguments of its device.
    pub device_args: Vec<String>,
}

impl VmSpec {
    /// An app VM with default limits.
    pub fn new(name: &str, colour: &str) -> Self {
        Self {
            name: name.to_owned(),
            colour: colour.to_owned(),
            memory_limits: String::new(),
            device_args: Vec::new(),
        }
    }
}

/// What is to be started.
#[derive(Debug)]
pub struct ChainBuilder {
    binaries: Binaries,
    vms: Vec<VmSpec>,
    size: (u32, u32),
    compositor_args: Vec<String>,
    unclaimed_timeout: Option<u32>,
}

impl ChainBuilder {
    /// A chain of the given binaries without any VM.
    pub fn new(binaries: Binaries) -> Self {
        Self {
            binaries,
            vms: Vec::new(),
            size: (1280, 800),
            compositor_args: Vec::new(),
            unclaimed_timeout: None,
        }
    }

    /// One more app VM.
    pub fn vm(self, name: &str, colour: &str) -> Self {
        self.vm_spec(VmSpec::new(name, colour))
    }

    /// One more app VM with settings of its own.
    pub fn vm_spec(mut self, vm: VmSpec) -> Self {
        self.vms.push(vm);
        self
    }

    /// Size of the screen in pixels (default 1280 × 800).
    pub fn size(mut self, width: u32, height: u32) -> Self {
        self.size = (width, height);
        self
    }

    /// How long the accept proxy holds a connection nobody claims, in seconds (default: its own).
    pub fn unclaimed_timeout(mut self, seconds: u32) -> Self {
        self.unclaimed_timeout = Some(seconds);
        self
    }

    /// A further argument of the compositor.
    pub fn compositor_arg(mut self, arg: impl Into<String>) -> Self {
        self.compositor_args.push(arg.into());
        self
    }

    /// Starts everything, in the order a host boots, saying each step to `progress`.
    ///
    /// # Errors
    /// When a part is missing or does not get ready; with the end of its log.
    pub fn start_with(self, mut progress: impl FnMut(&str)) -> Result<Chain> {
        let mut chain = self.start_host_with(&mut progress)?;
        chain.start_compositor()?;
        progress("compositor is ready");
        Ok(chain)
    }

    /// Starts everything but the compositor, silently: another one takes its place.
    ///
    /// # Errors
    /// As for [`Self::start_with`].
    pub fn start_host(self) -> Result<Chain> {
        self.start_host_with(&mut |_| ())
    }

    fn start_host_with(self, progress: &mut impl FnMut(&str)) -> Result<Chain> {
        let mut chain = self.prepare()?;
        chain.start_memory_server()?;
        progress("memory server is ready");
        for index in 0..chain.vms.len() {
            chain.start_app_device(index)?;
            progress(&format!(
                "device of app VM {} is ready",
                chain.vms[index].spec.name
            ));
        }
        chain.start_compositor_device()?;
        progress("device of the compositor VM is ready");
        chain.start_accept_proxy()?;
        progress("accept proxy is ready");
        Ok(chain)
    }

    /// Starts everything, silently.
    ///
    /// # Errors
    /// As for [`Self::start_with`].
    pub fn start(self) -> Result<Chain> {
        self.start_with(|_| ())
    }

    /// Directories and configuration files, but no process: for tests of the order of starts.
    ///
    /// # Errors
    /// When the directories cannot be made.
    pub fn prepare(self) -> Result<Chain> {
        let paths = Paths::new(TestDir::new()?)?;
        let dir = paths.dir();
        let accept_proxy = config::accept_proxy(&paths, &self.vms, self.unclaimed_timeout);
        dir.write("accept-proxy.toml", accept_proxy)?;
        dir.write("memfd-server.toml", config::memfd_server(&paths, &self.vms))?;
        let mut vms = Vec::new();
        for spec in self.vms {
            let runtime_dir = dir.sub(&spec.name)?;
            let device = format!("vhost-user:{}", paths.device(&spec.name).display());
            vms.push(AppVm {
                spec,
                runtime_dir,
                device,
                daemon: None,
            });
        }
        Ok(Chain {
            compositor: None,
            accept_proxy: None,
            compositor_device: None,
            vms,
            memory_server: None,
            binaries: self.binaries,
            size: self.size,
            compositor_args: self.compositor_args,
            stopped: false,
            paths,
        })
    }
}

/// An app VM of a running chain.
#[derive(Debug)]
pub struct AppVm {
    spec: VmSpec,
    runtime_dir: PathBuf,
    device: String,
    daemon: Option<Daemon>,
}

impl AppVm {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Colour of its frames, `#rrggbb`.
    pub fn colour(&self) -> &str {
        &self.spec.colour
    }

    /// `XDG_RUNTIME_DIR` and home of its programs.
    pub fn runtime_dir(&self) -> &Path {
        &self.runtime_dir
    }

    /// The value of `VIRTIO_WL_DEVICE` for its programs.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Its device process, when running.
    pub fn daemon(&mut self) -> Option<&mut Daemon> {
        self.daemon.as_mut()
    }
}

/// A chain. Dropping it stops what still runs, compositor first.
#[derive(Debug)]
pub struct Chain {
    // In the order of their end: what depends on others goes first.
    /// The compositor, when running.
    pub compositor: Option<Daemon>,
    /// The accept proxy, when running.
    pub accept_proxy: Option<Daemon>,
    /// The device of the compositor's VM, when running.
    pub compositor_device: Option<Daemon>,
    vms: Vec<AppVm>,
    /// The memory server, when running.
    pub memory_server: Option<Daemon>,
    binaries: Binaries,
    size: (u32, u32),
    compositor_args: Vec<String>,
    /// Stopped as it should be; otherwise its logs are shown.
    stopped: bool,
    paths: Paths,
}

impl Chain {
    /// A builder with the binaries built beside this one.
    ///
    /// # Errors
    /// When they are not to be found.
    pub fn builder() -> Result<ChainBuilder> {
        Ok(ChainBuilder::new(Binaries::beside_this_one()?))
    }

    /// The binaries it runs.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// All its paths.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Where the logs are.
    pub fn log_dir(&self) -> &Path {
        self.paths.logs()
    }

    /// The app VM `name`.
    ///
    /// # Panics
    /// When there is none: a mistake in the test.
    pub fn app(&self, name: &str) -> &AppVm {
        self.vms
            .iter()
            .find(|vm| vm.name() == name)
            .expect("an app VM of this chain")
    }

    /// The app VM `name`, to restart its device.
    ///
    /// # Panics
    /// When there is none: a mistake in the test.
    pub fn app_mut(&mut self, name: &str) -> &mut AppVm {
        self.vms
            .iter_mut()
            .find(|vm| vm.spec.name == name)
            .expect("an app VM of this chain")
    }

    /// All app VMs.
    pub fn apps(&self) -> &[AppVm] {
        &self.vms
    }

    /// The compositor's control socket.
    ///
    /// # Errors
    /// When the compositor has not been built.
    pub fn ctl(&self) -> Result<CompositorCtl> {
        let binary = self.binaries.path("virtio-wl-compositor")?;
        Ok(CompositorCtl::new(binary, self.paths.compositor_ctl()))
    }

    /// A daemon's command with its log in place.
    fn daemon(&self, name: &str, binary: &str) -> Result<Command> {
        Ok(Command::new(
            name,
            self.binaries.path(binary)?,
            self.log_dir(),
        ))
    }

    /// Starts the memory server.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_memory_server(&mut self) -> Result<()> {
        let config = self.paths.dir().join("memfd-server.toml");
        let command = self
            .daemon("memfd-server", "memfd-server")?
            .option("--config", config);
        self.memory_server = Some(command.spawn_ready()?);
        Ok(())
    }

    /// Starts (or starts again) the device of the app VM `index`.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_app_device(&mut self, index: usize) -> Result<()> {
        let vm = self.vms.get(index).context("no such app VM")?;
        let name = vm.name();
        let command = self
            .daemon(&format!("device-{name}"), "vhost-device-wl")?
            .option("--socket", self.paths.device(name))
            .option("--wayland-sock", self.paths.wayland(name))
            .option("--memfd-sock", self.paths.memory(name))
            .option("--control", self.paths.device_control(name))
            .option("--max-frontends", MAX_FRONTENDS)
            .args(&vm.spec.device_args);
        self.vms[index].daemon = Some(command.spawn_ready()?);
        Ok(())
    }

    /// Starts (or starts again) the device of the compositor's VM.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_compositor_device(&mut self) -> Result<()> {
        let command = self
            .daemon("device-compositor", "vhost-device-wl")?
            .option("--socket", self.paths.device(COMPOSITOR))
            .option("--memfd-sock", self.paths.memory(COMPOSITOR))
            .option("--control", self.paths.compositor_control());
        self.compositor_device = Some(command.spawn_ready()?);
        Ok(())
    }

    /// Starts (or starts again) the accept proxy.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_accept_proxy(&mut self) -> Result<()> {
        let config = self.paths.dir().join("accept-proxy.toml");
        let command = self
            .daemon("accept-proxy", "wl-accept-proxy")?
            .option("--config", config);
        self.accept_proxy = Some(command.spawn_ready()?);
        Ok(())
    }

    /// Starts (or starts again) the compositor.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_compositor(&mut self) -> Result<()> {
        let device = format!("vhost-user:{}", self.paths.device(COMPOSITOR).display());
        let mut command = self
            .daemon("compositor", "virtio-wl-compositor")?
            .env("VIRTIO_WL_DEVICE", device)
            .option("--backend", "headless")
            .option("--size", format!("{}x{}", self.size.0, self.size.1))
            .option("--control", self.paths.compositor_ctl());
        for vm in &self.vms {
            let path = self.paths.test_socket(vm.name());
            let test_socket = format!(
                "{},name={},colour={}",
                path.display(),
                vm.name(),
                vm.colour()
            );
            command = command.option("--test-socket", test_socket);
        }
        self.compositor = Some(command.args(&self.compositor_args).spawn_ready()?);
        Ok(())
    }

    /// `vhost-device-wl ctl` at the device of `vm` ([`COMPOSITOR`] or an app VM); what it printed.
    ///
    /// # Errors
    /// When it fails; with what it said.
    pub fn device_ctl(&self, vm: &str, args: &[&str]) -> Result<String> {
        let output = std::process::Command::new(self.binaries.path("vhost-device-wl")?)
            .arg("ctl")
            .arg("--control")
            .arg(self.paths.device_control(vm))
            .args(args)
            .output()
            .context("cannot run vhost-device-wl ctl")?;
        anyhow::ensure!(
            output.status.success(),
            "vhost-device-wl ctl {args:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        String::from_utf8(output.stdout).context("ctl output")
    }

    /// All running daemons with their names.
    pub fn daemons(&self) -> impl Iterator<Item = &Daemon> {
        [
            &self.compositor,
            &self.accept_proxy,
            &self.compositor_device,
            &self.memory_server,
        ]
        .into_iter()
        .chain(self.vms.iter().map(|vm| &vm.daemon))
        .flatten()
    }

    /// Stops everything: every daemon must end with status 0 on SIGTERM and remove its sockets.
    ///
    /// # Errors
    /// The first daemon that does not, or the files left.
    pub fn stop(mut self) -> Result<()> {
        let devices = self.vms.iter_mut().map(|vm| &mut vm.daemon);
        let rest = [&mut self.compositor_device, &mut self.memory_server];
        let first = [&mut self.compositor, &mut self.accept_proxy];
        for daemon in first.into_iter().chain(devices).chain(rest).flatten() {
            daemon.stop_cleanly()?;
        }
        self.stopped = true;
        let left = leak::files(self.paths.run())?;
        anyhow::ensure!(left.is_empty(), "files left behind: {left:?}");
        Ok(())
    }
}

/// A chain that was not stopped belongs to a failed test, whose reason is often in a log. (After a
/// panic each [`Daemon`] shows its own.)
impl Drop for Chain {
    fn drop(&mut self) {
        if !self.stopped && !std::thread::panicking() {
            process::print_logs(self.log_dir());
        }
    }
}
