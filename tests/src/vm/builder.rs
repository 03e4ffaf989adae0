//! A VM to be made.

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::assets::{Assets, Image, test_name};
use super::console;
use super::device::WlDevice;
use super::guest::Guest;
use super::lines::{self, Lines};
use super::machine::Vm;
use super::qemu::{self, Accel, Display, Machine, VmPaths};
use super::qmp::{self, Qmp};
use super::remains::Remains;
use crate::dir::TestDir;
use crate::process::Command;
use crate::wait::Deadline;

/// Memory of a guest in MiB.
const MEMORY_MIB: u32 = 512;
/// Memory of a guest with applications.
const APP_MEMORY_MIB: u32 = 768;

/// Whose virtio_wl device the VM gets.
#[derive(Debug)]
enum Device {
    /// None.
    None,
    /// One of its own, with these arguments.
    Own(Vec<OsString>),
    /// That of somebody else, at this vhost-user socket.
    At(PathBuf),
}

/// A VM to be made: a `vhost-device-wl` of its own, emulated, no screen to be looked at.
#[derive(Debug)]
pub struct VmBuilder {
    assets: Assets,
    machine: Machine,
    device: Device,
    life: Duration,
    quiet: bool,
    /// Where its directories are made, instead of in one of its own.
    dirs: Option<(PathBuf, PathBuf)>,
}

impl VmBuilder {
    /// A VM of the image `image`.
    pub fn new(assets: &Assets, image: Image) -> Self {
        let memory_mib = match image {
            Image::App | Image::Desktop => APP_MEMORY_MIB,
            _ => MEMORY_MIB,
        };
        let mut builder = Self {
            assets: assets.clone(),
            machine: Machine {
                name: image.name().to_owned(),
                role: image.role(),
                image: assets.image(image),
                memory_mib,
                cpus: 2,
                accel: Accel::from_environment(),
                device: None,
                screen: (1280, 800),
                display: Display::None,
                kernel_words: Vec::new(),
                extra: Vec::new(),
            },
            device: Device::Own(Vec::new()),
            life: super::LIFE,
            quiet: false,
            dirs: None,
        };
        if console::is_wanted() || image == Image::CompositorDebug {
            builder = builder.kernel_word("vwl.shell");
        }
        builder
    }

    /// Its name, of its logs and in process listings (default: that of its image).
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.machine.name);
        self
    }

    /// Memory in MiB.
    pub fn memory_mib(mut self, mib: u32) -> Self {
        self.machine.memory_mib = mib;
        self
    }

    /// CPUs (default 2).
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.machine.cpus = cpus;
        self
    }

    /// How its instructions run (default: what the environment says).
    pub fn accel(mut self, accel: Accel) -> Self {
        self.machine.accel = accel;
        self
    }

    /// A further argument of its own `vhost-device-wl`.
    pub fn device_arg(mut self, arg: impl Into<OsString>) -> Self {
        match &mut self.device {
            Device::Own(args) => args.push(arg.into()),
            _ => self.device = Device::Own(vec![arg.into()]),
        }
        self
    }

    /// Uses the device at this vhost-user socket instead of one of its own.
    pub fn device_at(mut self, socket: impl Into<PathBuf>) -> Self {
        self.device = Device::At(socket.into());
        self
    }

    /// No virtio_wl device at all.
    pub fn without_device(mut self) -> Self {
        self.device = Device::None;
        self
    }

    /// Size of a compositor's screen in pixels (default 1280 × 800).
    pub fn screen(mut self, width: u32, height: u32) -> Self {
        self.machine.screen = (width, height);
        self
    }

    /// Where the screen can be looked at.
    pub fn display(mut self, display: Display) -> Self {
        self.machine.display = display;
        self
    }

    /// A program the guest starts by itself once it is ready.
    pub fn autostart<S: AsRef<str>>(self, argv: &[S]) -> Self {
        self.kernel_word(&qemu::autostart(argv))
    }

    /// The compositor that a guest of [`Image::Desktop`] runs: `labwc`, `sway`, `weston`, `cage`, or
    /// any other program with arguments of its own.
    pub fn compositor<S: AsRef<str>>(self, argv: &[S]) -> Self {
        self.kernel_word(&qemu::compositor(argv))
    }

    /// That compositor gets clients of other VMs by a relay instead of a library.
    pub fn relay(self) -> Self {
        self.kernel_word(qemu::RELAY)
    }

    /// A further word for the guest's kernel and init.
    pub fn kernel_word(mut self, word: &str) -> Self {
        self.machine.kernel_words.push(word.to_owned());
        self
    }

    /// A further argument of QEMU.
    pub fn qemu_arg(mut self, arg: impl Into<OsString>) -> Self {
        self.machine.extra.push(arg.into());
        self
    }

    /// How long it may live (default [`LIFE`](super::LIFE)).
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// Whatever becomes of it, nothing is shown or kept: it is an experiment.
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Its files below `dir`, its logs in `logs`: it is one of several.
    pub(super) fn within(mut self, dir: &Path, logs: &Path) -> Self {
        self.dirs = Some((dir.to_owned(), logs.to_owned()));
        self
    }

    /// Starts QEMU and goes on: several guests boot at once.
    ///
    /// # Errors
    /// When QEMU, the image or the device is missing or does not start.
    pub fn spawn(mut self) -> Result<Vm> {
        let name = self.machine.name.clone();
        let (own_dir, dir, logs) = match self.dirs {
            Some((dir, logs)) => (None, dir, logs),
            None => {
                let own = TestDir::new()?;
                let (dir, logs) = (own.path().to_owned(), own.sub("log")?);
                (Some(own), dir, logs)
            }
        };
        let dir = dir.join(format!("vm-{name}"));
        std::fs::create_dir_all(&dir).context("directory of a VM")?;
        let paths = VmPaths::new(dir);
        let device = match self.device {
            Device::None => None,
            Device::At(socket) => {
                self.machine.device = Some(socket);
                None
            }
            Device::Own(args) => {
                let binaries = self.assets.binaries();
                let device = WlDevice::start(binaries, &args, paths.dir(), &logs)?;
                self.machine.device = Some(device.socket());
                Some(device)
            }
        };
        let life = Deadline::after(self.life);
        let qmp_listener = lines::listen(&paths.qmp())?;
        let control_listener = lines::listen(&paths.control())?;
        let mut qemu = Command::new(format!("qemu-{name}"), self.assets.qemu(), &logs)
            .args(self.machine.arguments(&paths))
            .spawn()?;
        let step = Deadline::after(super::STEP);
        let mut accept =
            |name, listener, limit| Lines::accept(name, listener, &mut qemu, limit, step);
        let monitor = accept("QEMU's monitor", &qmp_listener, qmp::MAX_LINE_BYTES)?;
        let control = accept("the guest", &control_listener, Guest::MAX_LINE_BYTES)?;
        let monitor = Qmp::new(monitor, step)?;
        let remains = Remains::new(&self.assets, &test_name(), &name, &paths, &logs);
        Ok(Vm {
            monitor: RefCell::new(monitor),
            guest: Rc::new(RefCell::new(Guest::new(control))),
            qemu,
            device,
            screen_size: self.machine.screen,
            binaries: self.assets.binaries().clone(),
            paths,
            life,
            over: self.quiet,
            remains,
            _dir: own_dir,
        })
    }

    /// Starts it and waits until its init runs.
    ///
    /// # Errors
    /// As for [`Self::spawn`], and when it does not boot; with the end of its console.
    pub fn start(self) -> Result<Vm> {
        let vm = self.spawn()?;
        vm.wait_booted()?;
        Ok(vm)
    }
}
