//! A compositor that is not ours: what it expects of a system, and how it is started.
//!
//! It looks for its screen and its input devices with udev and opens them by itself, through
//! libseat. The one session of this guest shares nothing, so libseat needs no daemon; udev gives
//! the compositor's groups what it has to open. Clients of other VMs come by the library that is
//! loaded before its own, or by a relay; those of this VM by its socket, whose appearance also says
//! that it is ready: `display` watches for that.

mod display;

use std::path::Path;

use anyhow::Context;
use guest_control::Ended;
use nix::sys::resource::{Resource, rlim_t};
use nix::unistd::Pid;

pub(crate) use self::display::Displays;
use crate::devices;
use crate::init::Init;
use crate::service::{Readiness, Recipe, describe};
use crate::spawn::Spawn;
use crate::sys;

/// Name of the service that is the compositor.
const COMPOSITOR: &str = "compositor";

/// Name of the service that is udev.
const UDEV: &str = "udev";

/// Its daemon.
const UDEVD: &str = "/usr/lib/systemd/systemd-udevd";

/// Tells udev of the devices that were there before it, and waits until it has been through them.
const COLDPLUG: [&str; 6] = [
    "udevadm",
    "trigger",
    "--settle",
    "--action=add",
    "--subsystem-match=drm",
    "--subsystem-match=input",
];

/// Lets programs listen to virtio_wl where they listen to a socket.
const PRELOAD: &str = "/usr/lib/x86_64-linux-gnu/libvirtio_wl_preload.so.1";

/// Serves clients of other VMs by the compositor's socket.
const RELAY: &str = "virtio-wl-relay";

/// What a compositor finds in its environment besides the session's variables.
const VARIABLES: [(&str, &str); 3] = [
    // It opens devices itself; see above.
    ("LIBSEAT_BACKEND", "noop"),
    // There is no graphics processor. Others than those of wlroots are told by their arguments.
    ("WLR_RENDERER", "pixman"),
    ("XDG_SESSION_TYPE", "wayland"),
];

/// The console, whichever is in the foreground.
const CONSOLE: &str = "/dev/tty0";

/// Limits of a compositor: descriptors for as many clients as a guest has VFDs, and no dumps of
/// pixels. Unlike ours it may start programs.
const LIMITS: [(Resource, rlim_t); 2] = [
    (Resource::RLIMIT_NOFILE, 16_384),
    (Resource::RLIMIT_CORE, 0),
];

/// How far the start of a compositor has come.
#[derive(Debug)]
pub(crate) struct Desktop {
    /// The compositor's program and arguments, until it is started.
    waiting: Option<Vec<String>>,
    /// Tells udev of the devices there are.
    coldplug: Option<Pid>,
    /// Clients of other VMs come by a relay.
    relay: Relay,
}

/// How far the start of a relay has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relay {
    /// There is to be none.
    None,
    /// The compositor's socket is not known yet.
    Waiting,
    /// It is kept running.
    Started,
}

/// What a compositor is started with when no more than its name is given.
fn usual_arguments(program: &str) -> &'static [&'static str] {
    match program {
        // The screen of a guest is no monitor whose life is to be prolonged.
        "weston" => &["--renderer=pixman", "--idle-time=0"],
        // It ends with the program it is for, which here are the other VMs' ones.
        "cage" => &["--", "tail", "-f", "/dev/null"],
        _ => &[],
    }
}

impl Init {
    /// Starts what a compositor needs, and then the compositor.
    ///
    /// # Errors
    /// When its socket cannot be watched for, or udev cannot be looked after.
    pub(crate) fn start_desktop(
        &mut self,
        mut argv: Vec<String>,
        relay: bool,
    ) -> anyhow::Result<()> {
        if let [name] = argv.as_slice() {
            let usual = usual_arguments(name).iter();
            argv.extend(usual.map(|&word| word.to_owned()).collect::<Vec<_>>());
        }
        // What is typed is for the compositor, which does not take it away from the console.
        if let Err(error) = sys::mute_console(Path::new(CONSOLE)) {
            tracing::warn!("the console hears the keyboard: {error}");
        }
        self.watch_displays()?;
        self.desktop = Some(Desktop {
            waiting: Some(argv),
            coldplug: None,
            relay: if relay { Relay::Waiting } else { Relay::None },
        });
        let env = self.agent.session().env(true);
        self.add_service(Recipe {
            name: UDEV,
            argv: vec![UDEVD.to_owned()],
            env,
            identity: None,
            limits: &[],
            confined: false,
            needs: None,
            devices: false,
            terminal: None,
            readiness: Readiness::Says,
            main: false,
        })
    }

    /// A service other than the main one is ready: if it is udev, it is told of all devices.
    pub(crate) fn helper_ready(&mut self, name: &str) {
        let Some(desktop) = &self.desktop else { return };
        if name != UDEV || desktop.coldplug.is_some() {
            return;
        }
        match self.spawn_coldplug() {
            Ok(pid) => {
                if let Some(desktop) = &mut self.desktop {
                    desktop.coldplug = Some(pid);
                }
            }
            Err(error) => tracing::error!("udev does not learn of devices: {error:#}"),
        }
    }

    fn spawn_coldplug(&self) -> anyhow::Result<Pid> {
        let argv = COLDPLUG.map(str::to_owned);
        let spawn = Spawn {
            argv: &argv,
            env: self.agent.session().env(true),
            identity: None,
            stdio: self.console_stdio(COLDPLUG[0])?,
            listen: None,
            limits: &[],
            confined: false,
            terminal: false,
        };
        Ok(spawn.start()?)
    }

    /// A process has ended; whether it was one of ours.
    pub(crate) fn desktop_reaped(&mut self, pid: Pid, status: Ended) -> bool {
        let Some(desktop) = &mut self.desktop else {
            return false;
        };
        if desktop.coldplug != Some(pid) {
            return false;
        }
        desktop.coldplug = None;
        if !status.success() {
            tracing::warn!("{} has ended: {}", COLDPLUG[0], describe(status));
        }
        if let Some(argv) = desktop.waiting.take()
            && let Err(error) = self.add_compositor(argv)
        {
            tracing::error!("cannot look after the compositor: {error:#}");
        }
        true
    }

    fn add_compositor(&mut self, argv: Vec<String>) -> anyhow::Result<()> {
        let session = self.agent.session();
        let mut env = session.env(false);
        let variables = VARIABLES.map(|(name, value)| (name.to_owned(), value.to_owned()));
        env.extend(variables);
        let desktop = self.desktop.as_ref();
        if desktop.is_some_and(|desktop| desktop.relay == Relay::None) {
            env.push(("LD_PRELOAD".to_owned(), PRELOAD.to_owned()));
            env.push(("VIRTIO_WL_LISTEN".to_owned(), "auto".to_owned()));
        }
        let identity = session.identity.clone();
        self.add_service(Recipe {
            name: COMPOSITOR,
            argv,
            env,
            identity,
            limits: &LIMITS,
            confined: true,
            needs: Some(Path::new("/dev").join(devices::WL)),
            devices: false,
            terminal: None,
            readiness: Readiness::Listens,
            main: true,
        })
    }

    fn watch_displays(&self) -> anyhow::Result<()> {
        let session = self.agent.session();
        let directory = session.variable("XDG_RUNTIME_DIR");
        let directory = directory.context("there is no directory for its socket")?;
        Displays::watch(&self.handle, Path::new(directory))
            .with_context(|| format!("cannot watch {directory}"))
    }

    /// Somebody takes clients at the Wayland socket `name`.
    fn display_serves(&mut self, name: &str, server: Pid) {
        if !self.listens(server) {
            return tracing::debug!("{name} is not the compositor's, but of process {server}");
        }
        tracing::info!("the compositor listens at {name}");
        self.agent.set_variable("WAYLAND_DISPLAY", name);
        self.main_service_ready();
        if let Some(desktop) = &mut self.desktop
            && desktop.relay == Relay::Waiting
        {
            desktop.relay = Relay::Started;
            if let Err(error) = self.add_relay() {
                tracing::error!("cannot look after the relay: {error:#}");
            }
        }
    }

    fn add_relay(&mut self) -> anyhow::Result<()> {
        let session = self.agent.session();
        let (env, identity) = (session.env(false), session.identity.clone());
        self.add_service(Recipe {
            name: "relay",
            argv: vec![RELAY.to_owned()],
            env,
            identity,
            limits: &LIMITS,
            confined: true,
            needs: Some(Path::new("/dev").join(devices::WL)),
            devices: false,
            terminal: None,
            readiness: Readiness::Says,
            main: false,
        })
    }
}
