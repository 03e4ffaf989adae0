//! As the first process.

use std::convert::Infallible;
use std::path::Path;

use anyhow::Context;
use calloop::generic::Generic;
use calloop::{Interest, Mode, PostAction};
use guest_control::{CONTROL_PORT, Role};
use nix::sys::reboot::{RebootMode, reboot, set_cad_enabled};
use nix::sys::utsname::uname;

use crate::agent::{Kind, Policy};
use crate::boot::command_line::CommandLine;
use crate::boot::{modules, mounts, root};
use crate::identity::Identity;
use crate::init::{Ending, Init};
use crate::ports;
use crate::session::Session;
use crate::uevent::{News, Uevents};

/// Boots, serves and powers off.
pub(crate) fn run() -> ! {
    let ending = boot_and_serve().unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        Ending::PowerOff
    });
    mounts::unmount_all();
    let mode = match ending {
        Ending::PowerOff => RebootMode::RB_POWER_OFF,
        Ending::Restart => RebootMode::RB_AUTOBOOT,
    };
    match reboot(mode) {
        Ok(never) => match never {},
        // The kernel panics when its first process ends, which ends the guest as well.
        Err(errno) => panic!("cannot power off: {errno}"),
    }
}

fn boot_and_serve() -> anyhow::Result<Ending> {
    mounts::mount_all();
    let line = std::fs::read_to_string("/proc/cmdline").context("cannot read the command line")?;
    let line = CommandLine::parse(&line);
    for argument in &line.strange {
        tracing::warn!("what is {argument}?");
    }
    // Ctrl-alt-del becomes a signal to us.
    let _ = set_cad_enabled(false);
    let events = Uevents::open().context("cannot listen for devices")?;
    modules::load_all(Path::new(modules::DIRECTORY));
    if line.role == Role::App && root::is_initial() {
        let never: Infallible = root::switch(&events)?;
        match never {}
    }
    let kernel = uname()
        .context("uname")?
        .release()
        .to_string_lossy()
        .into_owned();
    tracing::info!("{:?} on Linux {kernel}", line.role);
    let policy = Policy {
        role: line.role,
        debug: Path::new("/bin/sh").exists(),
        session: Session {
            identity: find_user(line.role),
            extra: Vec::new(),
        },
    };
    Init::serve(policy, kernel, true, |init| {
        watch_devices(init, events)?;
        init.look_for_port();
        Ok(())
    })
}

/// As whom programs run that need not be root.
fn find_user(role: Role) -> Option<Identity> {
    let name = match role {
        Role::App => "user",
        Role::Compositor => "compositor",
        Role::Bare => return None,
    };
    match Identity::find(name) {
        Ok(Some(identity)) => return Some(identity),
        Ok(None) => tracing::error!("there is no user '{name}'"),
        Err(error) => tracing::error!("cannot look up user '{name}': {error}"),
    }
    None
}

fn watch_devices(init: &Init, events: Uevents) -> anyhow::Result<()> {
    let source = Generic::new(events, Interest::READ, Mode::Level);
    let result = init
        .handle
        .insert_source(source, |_, events, init: &mut Init| {
            while let Some(news) = events.next()? {
                init.device_news(&news);
            }
            Ok(PostAction::Continue)
        });
    result
        .map_err(|error| error.error)
        .context("cannot watch devices")?;
    Ok(())
}

impl Init {
    fn device_news(&mut self, news: &News) {
        let ports = match news {
            News::Device { subsystem, .. } => subsystem == "virtio-ports",
            News::Lost => true,
        };
        if ports {
            self.look_for_port();
        }
    }

    /// Takes the control port when it is there. A guest without one boots as well.
    fn look_for_port(&mut self) {
        if self.agent.has_port() {
            return;
        }
        let result = match ports::open(CONTROL_PORT) {
            Ok(None) => return,
            Ok(Some(file)) => self
                .agent
                .attach(file, Kind::Virtio)
                .map_err(anyhow::Error::from),
            Err(error) => Err(error.into()),
        };
        match result {
            Ok(()) => tracing::info!("serving {CONTROL_PORT}"),
            Err(error) => tracing::error!("cannot serve {CONTROL_PORT}: {error}"),
        }
    }
}
