//! The whole chain with real VMs: the same daemons as in the embedded [`Chain`], and QEMU guests in
//! place of the embedded ones.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::assets::{Assets, Image};
use super::builder::VmBuilder;
use super::console;
use super::machine::Vm;
use super::qemu::{Accel, Display};
use super::screen::VmScreen;
use crate::chain::{COMPOSITOR, Chain, ChainBuilder, VmSpec};

/// An app VM to be made.
#[derive(Debug)]
struct AppSpec {
    name: String,
    autostart: Vec<Vec<String>>,
}

/// What is to be started.
#[derive(Debug)]
pub struct VmChainBuilder {
    assets: Assets,
    chain: ChainBuilder,
    apps: Vec<AppSpec>,
    screen: (u32, u32),
    display: Display,
    accel: Accel,
    life: Duration,
    compositor_image: Image,
    foreign: Option<Foreign>,
}

/// A compositor that is not ours.
#[derive(Clone, Debug, Default)]
struct Foreign {
    argv: Vec<String>,
    relay: bool,
    autostart: Vec<Vec<String>>,
}

impl VmChainBuilder {
    /// A compositor VM and no app VM yet.
    pub fn new(assets: Assets) -> Self {
        Self {
            chain: ChainBuilder::new(assets.binaries().clone()),
            assets,
            apps: Vec::new(),
            screen: (1280, 800),
            display: Display::None,
            accel: Accel::from_environment(),
            life: super::LIFE,
            compositor_image: if console::is_wanted() {
                Image::CompositorDebug
            } else {
                Image::Compositor
            },
            foreign: None,
        }
    }

    /// The compositor VM runs Debian with this compositor instead of ours; see
    /// [`VmBuilder::compositor`].
    pub fn compositor(mut self, argv: &[&str]) -> Self {
        self.compositor_image = Image::Desktop;
        self.foreign = Some(Foreign {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            ..Foreign::default()
        });
        self
    }

    /// That compositor gets clients of other VMs by a relay instead of a library.
    pub fn relay(mut self) -> Self {
        self.foreign.get_or_insert_default().relay = true;
        self
    }

    /// A program that the compositor VM starts by itself; only beside another compositor than ours.
    pub fn local(mut self, argv: &[&str]) -> Self {
        let program = argv.iter().map(|word| (*word).to_owned()).collect();
        let foreign = self.foreign.get_or_insert_default();
        foreign.autostart.push(program);
        self
    }

    /// One more app VM.
    pub fn app(self, name: &str, colour: &str) -> Self {
        self.app_spec(VmSpec::new(name, colour))
    }

    /// One more app VM with settings of its own.
    pub fn app_spec(mut self, spec: VmSpec) -> Self {
        self.apps.push(AppSpec {
            name: spec.name.clone(),
            autostart: Vec::new(),
        });
        self.chain = self.chain.vm_spec(spec);
        self
    }

    /// The compositor's image is the one with a shell, and has one on its second serial port.
    pub fn debug(mut self) -> Self {
        self.compositor_image = Image::CompositorDebug;
        self
    }

    /// A program the last app VM starts by itself.
    ///
    /// # Panics
    /// Before the first app VM: a mistake in the test.
    pub fn autostart(mut self, argv: &[&str]) -> Self {
        let app = self.apps.last_mut().expect("an app VM");
        app.autostart
            .push(argv.iter().map(|word| (*word).to_owned()).collect());
        self
    }

    /// Changes the settings of the host's daemons.
    pub fn host(mut self, change: impl FnOnce(ChainBuilder) -> ChainBuilder) -> Self {
        self.chain = change(self.chain);
        self
    }

    /// Size of the screen in pixels (default 1280 × 800).
    pub fn size(mut self, width: u32, height: u32) -> Self {
        self.screen = (width, height);
        self
    }

    /// Where the screen can be looked at.
    pub fn display(mut self, display: Display) -> Self {
        self.display = display;
        self
    }

    /// How the guests' instructions run (default: what the environment says).
    pub fn accel(mut self, accel: Accel) -> Self {
        self.accel = accel;
        self
    }

    /// The guests live until they are stopped.
    pub fn endless(mut self) -> Self {
        self.life = super::ENDLESS;
        self
    }

    /// Starts the daemons of the host, but no VM.
    ///
    /// # Errors
    /// When something is missing or does not get ready.
    pub fn prepare(self) -> Result<VmChain> {
        self.assets.require(&[self.compositor_image, Image::App])?;
        let mut chain = self.chain.prepare()?;
        chain.start_memory_server()?;
        for index in 0..self.apps.len() {
            chain.start_app_device(index)?;
        }
        chain.start_compositor_device()?;
        chain.start_accept_proxy()?;
        Ok(VmChain {
            vms: self.apps.iter().map(|_| None).collect(),
            compositor: None,
            apps: self.apps,
            assets: self.assets,
            screen: self.screen,
            display: self.display,
            accel: self.accel,
            life: self.life,
            compositor_image: self.compositor_image,
            foreign: self.foreign,
            chain,
        })
    }

    /// Starts everything: all guests boot at once.
    ///
    /// # Errors
    /// When a part is missing or does not get ready.
    pub fn start(self) -> Result<VmChain> {
        let mut chain = self.prepare()?;
        chain.spawn_compositor()?;
        for index in 0..chain.apps.len() {
            chain.spawn_app(index)?;
        }
        chain.wait_ready()?;
        Ok(chain)
    }
}

/// A chain with real VMs. Dropping it kills what still runs.
#[derive(Debug)]
pub struct VmChain {
    // In the order of their end: guests before their devices.
    vms: Vec<Option<Vm>>,
    compositor: Option<Vm>,
    apps: Vec<AppSpec>,
    assets: Assets,
    screen: (u32, u32),
    display: Display,
    accel: Accel,
    life: Duration,
    compositor_image: Image,
    foreign: Option<Foreign>,
    chain: Chain,
}

impl VmChain {
    /// A builder for the running test. `None` without the images; the skip has been printed.
    ///
    /// # Errors
    /// When the binaries are not to be found.
    pub fn for_test() -> Result<Option<VmChainBuilder>> {
        let assets = Assets::for_test(&[Image::Compositor, Image::App])?;
        Ok(assets.map(VmChainBuilder::new))
    }

    /// The daemons of the host.
    pub fn host(&self) -> &Chain {
        &self.chain
    }

    /// The daemons of the host, to stop and start them.
    pub fn host_mut(&mut self) -> &mut Chain {
        &mut self.chain
    }

    /// The compositor's VM.
    ///
    /// # Errors
    /// When it does not run.
    pub fn compositor(&self) -> Result<&Vm> {
        self.compositor.as_ref().context("no compositor VM runs")
    }

    /// The screen of the compositor's VM.
    ///
    /// # Errors
    /// When it does not run.
    pub fn screen(&self) -> Result<VmScreen<'_>> {
        self.compositor()?.screen()
    }

    /// The app VM `name`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn app(&self, name: &str) -> Result<&Vm> {
        let vm = self.vms.get(self.index(name)?).and_then(Option::as_ref);
        vm.with_context(|| format!("app VM {name} does not run"))
    }

    /// The names of all app VMs.
    pub fn app_names(&self) -> impl Iterator<Item = &str> {
        self.apps.iter().map(|app| app.name.as_str())
    }

    /// All running VMs.
    pub fn vms(&self) -> impl Iterator<Item = &Vm> {
        self.compositor.iter().chain(self.vms.iter().flatten())
    }

    fn index(&self, name: &str) -> Result<usize> {
        let index = self.apps.iter().position(|app| app.name == name);
        index.with_context(|| format!("no app VM {name}"))
    }

    fn builder(&self, image: Image, name: &str) -> VmBuilder {
        let paths = self.chain.paths();
        Vm::builder(&self.assets, image)
            .name(name)
            .accel(self.accel)
            .life(self.life)
            .device_at(paths.device(name))
            .within(paths.dir().path(), paths.logs())
    }

    /// Starts the compositor's VM, without waiting for its boot.
    ///
    /// # Errors
    /// When one runs already, or it does not start.
    pub fn spawn_compositor(&mut self) -> Result<()> {
        ensure!(self.compositor.is_none(), "a compositor VM runs already");
        let mut builder = self
            .builder(self.compositor_image, COMPOSITOR)
            .screen(self.screen.0, self.screen.1)
            .display(self.display.clone());
        if let Some(foreign) = &self.foreign {
            builder = builder.compositor(&foreign.argv);
            if foreign.relay {
                builder = builder.relay();
            }
            for argv in &foreign.autostart {
                builder = builder.autostart(argv);
            }
        }
        self.compositor = Some(builder.spawn()?);
        Ok(())
    }

    /// Starts an app VM, without waiting for its boot.
    ///
    /// # Errors
    /// When it does not start.
    pub fn spawn_app(&mut self, index: usize) -> Result<()> {
        let app = self.apps.get(index).context("no such app VM")?;
        let mut builder = self.builder(Image::App, &app.name);
        for argv in &app.autostart {
            builder = builder.autostart(argv);
        }
        let vm = builder.spawn()?;
        self.vms[index] = Some(vm);
        Ok(())
    }

    /// Starts the app VM `name` again, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_app(&mut self, name: &str) -> Result<()> {
        self.spawn_app(self.index(name)?)?;
        self.app(name)?.wait_ready()
    }

    /// Starts the compositor's VM again, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_compositor(&mut self) -> Result<()> {
        self.spawn_compositor()?;
        self.compositor()?.wait_ready()
    }

    /// Waits until the services of all running VMs are ready.
    ///
    /// # Errors
    /// When one is not in time.
    pub fn wait_ready(&self) -> Result<()> {
        self.vms().try_for_each(Vm::wait_ready)
    }

    /// The app VM `name`, out of the chain: to be killed, or stopped alone.
    ///
    /// # Errors
    /// When it does not run.
    pub fn take_app(&mut self, name: &str) -> Result<Vm> {
        let index = self.index(name)?;
        let vm = self.vms.get_mut(index).and_then(Option::take);
        vm.with_context(|| format!("app VM {name} does not run"))
    }

    /// The compositor's VM, out of the chain.
    ///
    /// # Errors
    /// When it does not run.
    pub fn take_compositor(&mut self) -> Result<Vm> {
        self.compositor.take().context("no compositor VM runs")
    }

    /// Ends everything: each kernel's log must be free of trouble, each guest must power off, each
    /// daemon must end in order.
    ///
    /// # Errors
    /// The first that is not so.
    pub fn stop(mut self) -> Result<()> {
        for vm in self.vms.drain(..).flatten() {
            vm.stop()?;
        }
        if let Some(vm) = self.compositor.take() {
            vm.stop()?;
        }
        self.chain.stop()
    }
}
