//! Compositors of others in the place of ours: unmodified, with the interposing library.
//!
//! They run nested, each as a program of an app VM whose windows our own compositor shows. So its
//! screen shows theirs, and its keyboard types into theirs.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use nix::unistd::geteuid;

use crate::chain::{Chain, VmSpec};
use crate::ctl::{CompositorCtl, Window};
use crate::dir::TestDir;
use crate::process::{Command, Daemon};
use crate::screen;
use crate::skip;
use crate::wait::{self, Deadline};
use crate::{Picture, picture::Rgb};

/// The app VM that the foreign compositor runs in, on the screen of our own one.
const DESK: &str = "desk";

/// Size of that screen: has room for the window of the foreign one.
const SCREEN: (u32, u32) = (1400, 860);

/// A compositor of Debian.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The reference compositor, with the `wl_shm` of libwayland-server. Windows lie on each other.
    Weston,
    /// On wlroots. Windows share the screen.
    Sway,
    /// On wlroots. The last window has the whole screen.
    Cage,
}

impl Kind {
    /// Its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Weston => "weston",
            Self::Sway => "sway",
            Self::Cage => "cage",
        }
    }

    /// What is behind the windows.
    pub fn background(self) -> Rgb {
        match self {
            Self::Weston | Self::Sway => [0x20, 0x30, 0x40],
            Self::Cage => [0; 3],
        }
    }

    /// Whether several windows are seen at once.
    pub fn shows_several(self) -> bool {
        self != Self::Cage
    }

    /// Whether SIGTERM ends it with status 0. Cage 0.1.4 aborts then, also without our library: it
    /// ends its display once more while that is being destroyed.
    fn ends_well(self) -> bool {
        self != Self::Cage
    }

    /// Whether it can run here; prints the skip of `test` when not.
    pub fn is_installed(self, test: &str) -> bool {
        skip::has_programs(test, &[self.program(), "foot", "wl-copy", "wl-paste"])
    }

    /// The program as a command, without arguments.
    fn command(self, chain: &Chain) -> Command {
        if self != Self::Weston && geteuid().is_root() {
            // wlroots' compositors do not start as root. Nobody in particular may still use our files,
            // and is no longer told when we end, as whoever changes its user is not.
            return Command::new(self.program(), "setpriv", chain.log_dir())
                .args(["--reuid=1000", "--regid=1000", "--clear-groups"])
                .args(["--inh-caps=+dac_override", "--ambient-caps=+dac_override"])
                .args(["--pdeathsig=KILL", "--", self.program()]);
        }
        Command::new(self.program(), self.program(), chain.log_dir())
    }

    /// Its arguments. Files for it are left in `dir`.
    fn configured(self, command: Command, dir: &TestDir) -> Result<Command> {
        Ok(match self {
            Self::Weston => {
                let config = "[core]\nidle-time=0\n[shell]\npanel-position=none\nanimation=none\n\
                    startup-animation=none\nlocking=false\nbackground-color=0xff203040\n";
                command
                    .args(["--backend=wayland-backend.so", "--use-pixman"])
                    .args(["--width=1200", "--height=700"])
                    .option("--config", dir.write("weston.ini", config)?)
            }
            Self::Sway => {
                let config = "output * bg #203040 solid_color\nxwayland disable\n";
                command.option("--config", dir.write("sway.conf", config)?)
            }
            // It ends with the program that it is started with.
            Self::Cage => command.args(["--", "tail", "-f", "/dev/null"]),
        })
    }
}

/// A foreign compositor that runs, and the app VMs it serves.
#[derive(Debug)]
pub struct Foreign {
    // In the order of their end: what depends on others goes first.
    /// The compositor.
    pub compositor: Daemon,
    /// The app VMs whose windows it shows.
    pub apps: Chain,
    /// `sommelier` that it is a client of.
    pub parent: Daemon,
    /// Ours, with the foreign one's window on its screen.
    pub desk: Chain,
    /// Its ordinary socket, for local clients.
    pub socket: PathBuf,
    window: Window,
    kind: Kind,
}

impl Foreign {
    /// Starts `kind` for app VMs and waits until it is on the screen.
    ///
    /// # Errors
    /// When something is missing or does not get ready.
    pub fn start(kind: Kind, vms: impl IntoIterator<Item = VmSpec>) -> Result<Self> {
        let desk = Chain::builder()?.size(SCREEN.0, SCREEN.1);
        let desk = desk.vm(DESK, "#607d8b").start()?;
        let apps = vms
            .into_iter()
            .fold(Chain::builder()?, |builder, vm| builder.vm_spec(vm));
        let apps = apps.start_host()?;
        let parent = desk.spawn_parent(desk.app(DESK), "desk")?;
        let command = apps
            .serving(kind.command(&apps), "auto")?
            .env("WAYLAND_DISPLAY", desk.app(DESK).runtime_dir().join("desk"))
            .env("WLR_BACKENDS", "wayland")
            .env("WLR_RENDERER", "pixman");
        let compositor = kind.configured(command, apps.paths().dir())?.spawn()?;
        let ctl = desk.ctl()?;
        ctl.wait_windows(DESK, 1)
            .with_context(|| compositor.log_tail())?;
        let mut windows = ctl.windows()?.into_iter();
        let window = windows.find(|window| window.vm() == DESK);
        let socket = Self::find_socket(&apps).with_context(|| compositor.log_tail())?;
        Ok(Self {
            compositor,
            apps,
            parent,
            desk,
            socket,
            window: window.context("its window was there")?,
            kind,
        })
    }

    /// The socket is there before the window: compositors listen first.
    fn find_socket(apps: &Chain) -> Result<PathBuf> {
        let dir = apps.desktop()?;
        for entry in std::fs::read_dir(&dir)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("wayland-") && !name.ends_with(".lock") {
                return Ok(dir.join(&*name));
            }
        }
        anyhow::bail!("no socket in {}", dir.display())
    }

    /// The control socket of our own compositor: its keys are the foreign one's.
    ///
    /// # Errors
    /// When the compositor has not been built.
    pub fn ctl(&self) -> Result<CompositorCtl> {
        self.desk.ctl()
    }

    /// A program as a client of the compositor: in the app VM `vm`, or local for `None`.
    ///
    /// # Errors
    /// When `sommelier` has not been built.
    pub fn client(
        &self,
        vm: Option<&str>,
        name: &str,
        program: impl AsRef<OsStr>,
    ) -> Result<Command> {
        Ok(match vm {
            Some(vm) => self.apps.sommelier(self.apps.app(vm), name)?.arg(program),
            None => {
                let command = Command::new(format!("local-{name}"), program, self.apps.log_dir());
                let command = self.apps.in_desktop(command)?;
                command.env("WAYLAND_DISPLAY", &self.socket)
            }
        })
    }

    /// The foreign compositor's screen once `accept` likes it; it stays at `name` in the logs'
    /// directory.
    ///
    /// # Errors
    /// When it is never so.
    pub fn wait_picture(
        &self,
        what: &str,
        mut accept: impl FnMut(&Picture) -> bool,
    ) -> Result<Picture> {
        let area = self.window.content()?;
        let path = self.desk.paths().dir().join("foreign.png");
        let crop = |screen: &Picture| screen.crop(area.x, area.y, area.width, area.height);
        let screen = screen::wait_picture(&self.ctl()?, what, &path, |screen| {
            crop(screen).is_ok_and(|picture| accept(&picture))
        });
        crop(&screen.with_context(|| self.compositor.log_tail())?)
    }

    /// Waits until at least `count` pixels have one of `colours` each.
    ///
    /// # Errors
    /// When it is never so.
    pub fn wait_colours(&self, colours: &[Rgb], count: usize) -> Result<Picture> {
        self.wait_picture(&format!("pixels of {colours:?}"), |picture| {
            colours.iter().all(|&colour| picture.count(colour) >= count)
        })
    }

    /// Stops all of it: the compositor must end well, and the daemons leave nothing behind.
    ///
    /// # Errors
    /// What did not.
    pub fn stop(mut self) -> Result<()> {
        if self.kind.ends_well() {
            self.compositor.stop_cleanly()?;
        } else {
            self.compositor.kill()?;
        }
        self.apps.stop()?;
        self.parent.stop_cleanly()?;
        self.desk.stop()
    }
}

/// Waits until a program has written something to a file: that is its answer.
///
/// # Errors
/// When it has not in time.
pub fn wait_file(path: &std::path::Path) -> Result<Vec<u8>> {
    let what = path.display().to_string();
    wait::until(&what, Deadline::step(), || {
        Ok(std::fs::read(path).ok().filter(|bytes| !bytes.is_empty()))
    })
}
