//! As the first process.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::Context;
use calloop::generic::Generic;
use calloop::{Interest, Mode, PostAction};
use guest_control::{CONTROL_PORT, Role, SCREEN_PORT};
use guest_uevent::{News, Uevents};
use nix::sys::reboot::{RebootMode, reboot, set_cad_enabled};
use nix::sys::utsname::uname;

use crate::agent::{Kind, Policy};
use crate::boot::command_line::CommandLine;
use crate::boot::{lockdown, machine_id, modules, mounts, network, root};
use crate::devices;
use crate::init::{Ending, Init};
use crate::ports;
use crate::roles;
use crate::screen::Screen;
use crate::service::DIRECTORY;
use crate::session::Session;

/// An image that has a shell is one for finding faults.
const SHELL: &str = "/bin/sh";

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
    let has_disk = match line.role {
        Role::App => true,
        Role::Compositor => line.compositor.is_some(),
        Role::Bare => false,
    };
    if has_disk && root::is_initial() {
        let never: Infallible = root::switch(&events)?;
        match never {}
    }
    let kernel = uname()
        .context("uname")?
        .release()
        .to_string_lossy()
        .into_owned();
    tracing::info!("{:?} on Linux {kernel}", line.role);
    let role = line.role;
    network::name_host(line.hostname.as_deref(), role);
    if has_disk {
        machine_id::fill_in();
    }
    // A compositor has nobody to talk to by IP.
    if role != Role::Compositor {
        network::start_loopback();
    }
    let identity = roles::user(role);
    roles::make_runtime_directory(role, identity.as_ref())?;
    std::fs::create_dir_all(DIRECTORY).with_context(|| format!("cannot make {DIRECTORY}"))?;
    if role == Role::Compositor {
        lockdown::lock_down();
    }
    let debug = Path::new(SHELL).exists();
    // A compositor with clients of its own VM is what such an image is for.
    let alone = role == Role::Compositor && line.compositor.is_none() && !debug;
    let policy = Policy {
        role,
        alone,
        session: Session {
            extra: roles::variables(role, identity.as_ref()),
            identity,
        },
    };
    Init::serve(policy, kernel, true, |init| {
        watch_devices(init, events)?;
        init.look_for_ports();
        init.share_devices();
        init.look_for_buttons();
        if alone && !line.run.is_empty() {
            tracing::warn!("a compositor VM runs nothing else, unless its image is a debug one");
        } else {
            init.run = line.run;
        }
        init.listen_for_halt(role)
            .context("cannot listen for vm-halt")?;
        if line.shell && debug {
            init.start_shell().context("cannot start a shell")?;
        }
        match line.compositor {
            Some(argv) if role == Role::Compositor => init.start_desktop(argv, line.relay),
            _ => init.start_role(role),
        }
    })
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
        let News::Device(event) = news else {
            self.look_for_ports();
            self.share_devices();
            self.offer_all_devices();
            self.look_for_buttons();
            return;
        };
        if event.subsystem() == "virtio-ports" {
            self.look_for_ports();
        }
        let Some(node) = event.node().filter(|_| event.action() == "add") else {
            return;
        };
        if node == devices::WL {
            self.share_devices();
        }
        self.listen_to_button(node);
        self.offer_device(node);
    }

    /// Lets the session use its devices, and starts what has waited for them.
    fn share_devices(&mut self) {
        devices::share_wl(self.agent.session().identity.as_ref());
        self.start_missing();
    }

    /// Takes the ports that are there. A guest without them boots as well.
    fn look_for_ports(&mut self) {
        if !self.agent.has_port()
            && let Some(port) = open_port(CONTROL_PORT)
            && let Err(error) = self.agent.attach(port, Kind::Virtio)
        {
            tracing::error!("cannot serve {CONTROL_PORT}: {error}");
        }
        if self.screen.is_none()
            && self.agent.role() == Role::Compositor
            && let Some(port) = open_port(SCREEN_PORT)
        {
            match Screen::attach(&self.handle, port) {
                Ok(screen) => self.screen = Some(screen),
                Err(error) => tracing::error!("cannot serve {SCREEN_PORT}: {error}"),
            }
        }
    }
}

fn open_port(name: &str) -> Option<OwnedFd> {
    match ports::open(name) {
        Ok(Some(port)) => {
            tracing::info!("serving {name}");
            Some(port)
        }
        Ok(None) => None,
        Err(error) => {
            tracing::error!("cannot open {name}: {error}");
            None
        }
    }
}
