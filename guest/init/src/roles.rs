//! What each role starts.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::Context;
use guest_control::Role;
use nix::sys::resource::{Resource, rlim_t};

use crate::devices;
use crate::identity::Identity;
use crate::init::Init;
use crate::service::{Readiness, Recipe};
use crate::spawn::Spawn;

/// Name of the Wayland socket of an app VM's session.
const WAYLAND_DISPLAY: &str = "wayland-0";

/// Where the compositor has its sockets.
const COMPOSITOR_DIRECTORY: &str = "/run/virtio-wl";

/// The compositor's control socket.
pub(crate) const COMPOSITOR_CONTROL: &str = "/run/virtio-wl/screen.ctl";

/// Limits of the compositor: descriptors for as many clients as a guest has VFDs, no dumps of
/// pixels, and no processes but itself and its threads.
const COMPOSITOR_LIMITS: [(Resource, rlim_t); 3] = [
    (Resource::RLIMIT_NOFILE, 16_384),
    (Resource::RLIMIT_CORE, 0),
    (Resource::RLIMIT_NPROC, 64),
];

/// Name of the user of a role. In an image without it, programs run as root.
fn user_name(role: Role) -> &'static str {
    match role {
        Role::App | Role::Bare => "user",
        Role::Compositor => "compositor",
    }
}

/// As whom programs run that need not be root.
pub(crate) fn user(role: Role) -> Option<Identity> {
    let name = user_name(role);
    match Identity::find(name) {
        Ok(Some(identity)) => return Some(identity),
        Ok(None) => tracing::warn!("there is no user '{name}', programs run as root"),
        Err(error) => tracing::error!("cannot look up user '{name}': {error}"),
    }
    None
}

/// What programs of a role find in their environment.
pub(crate) fn variables(role: Role, user: Option<&Identity>) -> Vec<(String, String)> {
    let directory = runtime_directory(role, user);
    let mut all = vec![(
        "XDG_RUNTIME_DIR".to_owned(),
        directory.to_string_lossy().into_owned(),
    )];
    if role == Role::App {
        all.push(("WAYLAND_DISPLAY".to_owned(), WAYLAND_DISPLAY.to_owned()));
        all.push(("XDG_SESSION_TYPE".to_owned(), "wayland".to_owned()));
    }
    all
}

fn runtime_directory(role: Role, user: Option<&Identity>) -> PathBuf {
    match role {
        Role::Compositor => PathBuf::from(COMPOSITOR_DIRECTORY),
        Role::App | Role::Bare => {
            let uid = user.map_or(0, |user| user.uid.as_raw());
            PathBuf::from(format!("/run/user/{uid}"))
        }
    }
}

/// Makes the directory for the sockets of the session, for its user alone.
pub(crate) fn make_runtime_directory(role: Role, user: Option<&Identity>) -> anyhow::Result<()> {
    let path = runtime_directory(role, user);
    let make = || {
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        chown(
            &path,
            user.map(|user| user.uid.as_raw()),
            user.map(|user| user.gid.as_raw()),
        )
    };
    make().with_context(|| format!("cannot make {}", path.display()))
}

impl Init {
    /// Starts what the role is for.
    pub(crate) fn start_role(&mut self, role: Role) -> anyhow::Result<()> {
        let session = self.agent.session();
        let mut recipe = Recipe {
            name: "",
            argv: Vec::new(),
            env: session.env(false),
            identity: session.identity.clone(),
            limits: &[],
            confined: false,
            needs: None,
            devices: false,
            terminal: None,
            readiness: Readiness::Says,
            main: true,
        };
        match role {
            Role::Bare => return Ok(()),
            Role::App => {
                let socket = format!("--socket={WAYLAND_DISPLAY}");
                recipe.argv = words(&["sommelier", "--parent", "--sd-notify=READY=1", &socket]);
                recipe.name = "sommelier";
                // It is a server here; the display it would be a client of is not its own.
                recipe.env.retain(|(name, _)| name != "WAYLAND_DISPLAY");
                recipe.needs = Some(Path::new("/dev").join(devices::WL));
            }
            Role::Compositor => {
                recipe.argv = words(&[
                    "virtio-wl-compositor",
                    "--backend",
                    "kms",
                    "--control",
                    COMPOSITOR_CONTROL,
                ]);
                recipe.name = "compositor";
                recipe.limits = &COMPOSITOR_LIMITS;
                recipe.confined = true;
                recipe.devices = true;
            }
        }
        self.add_service(recipe)
    }

    /// Gives a person a root shell, which comes back when it is left.
    pub(crate) fn start_shell(&mut self) -> anyhow::Result<()> {
        let terminal = ["/dev/hvc0", "/dev/ttyS1"]
            .map(Path::new)
            .into_iter()
            .find(|path| path.exists());
        let terminal = terminal.context("there is no terminal for it")?;
        let session = self.agent.session();
        let mut env = session.env(true);
        env.push(("TERM".to_owned(), "linux".to_owned()));
        self.add_service(Recipe {
            name: "shell",
            argv: words(&["/bin/sh", "-i"]),
            env,
            identity: None,
            limits: &[],
            confined: false,
            needs: None,
            devices: false,
            terminal: Some(terminal.to_owned()),
            readiness: Readiness::Says,
            main: false,
        })
    }

    /// Starts the programs of the kernel's command line, once.
    pub(crate) fn autostart(&mut self) {
        for argv in std::mem::take(&mut self.run) {
            let name = argv.first().cloned().unwrap_or_default();
            let session = self.agent.session();
            let result = self.console_stdio(&name).and_then(|stdio| {
                let spawn = Spawn {
                    argv: &argv,
                    env: session.env(false),
                    identity: session.identity(false),
                    stdio,
                    listen: None,
                    limits: &[],
                    confined: false,
                    terminal: false,
                };
                Ok(spawn.start()?)
            });
            match result {
                Ok(pid) => {
                    tracing::info!("{name} runs as {pid}");
                    self.autostarted.insert(pid, name);
                }
                Err(error) => tracing::error!("cannot start {name}: {error:#}"),
            }
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
