//! From a parsed command line to a served program.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use anyhow::{Context, Result};
use virtio_wl::{DEVICE_VARIABLE, DeviceAddress};

use crate::args::Config;
use crate::conn::{DeviceHost, Host, SocketHost};
use crate::server::child::{NOT_EXECUTABLE, NOT_FOUND, Program, Reach, private_connection};
use crate::server::listen::{Listener, socket_path};
use crate::server::{Plan, block_signals, serve};
use crate::sys::{self, Inherited};

/// Socket of `--parent` when no name is given.
const DEFAULT_SOCKET: &str = "wayland-0";

/// The program could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot run '{}'", .program.display())]
struct StartError {
    program: OsString,
    #[source]
    source: io::Error,
}

/// Relays as `config` says; returns the exit status.
///
/// # Errors
/// Whatever prevents it, in words for the user; [`exit_status`] tells the
/// status.
pub fn run(config: Config) -> Result<i32> {
    let inherited = Inherited::remember().context("cannot read the signal mask and limits")?;
    inherited.raise_file_limit();
    let signals = block_signals().context("cannot take over signals")?;
    let mut clients = Vec::new();
    let mut listener = None;
    let mut reach = None;
    if config.parent {
        let name = config
            .socket
            .as_deref()
            .unwrap_or(OsStr::new(DEFAULT_SOCKET));
        let path = socket_path(name, env::var_os("XDG_RUNTIME_DIR"))?;
        listener = Some(Listener::bind(path)?);
        reach = Some(Reach::Display(name.to_owned()));
    }
    if let Some(number) = config.client_fd {
        let fd = sys::inherited_socket(number);
        let fd = fd.with_context(|| format!("--client-fd={number} is not an open socket"))?;
        clients.push(UnixStream::from(fd));
    } else if !config.parent {
        let (ours, theirs) = private_connection().context("cannot make a pair of sockets")?;
        clients.push(ours);
        reach = Some(Reach::Socket(theirs));
    }
    let host = host(&config)?;
    let mut failed = None;
    // Started once the relay is ready, so that no program is left behind when
    // the host cannot be reached.
    let start = || {
        let reach = reach.filter(|_| !config.program.is_empty())?;
        match Program::start(&config.program, reach, inherited) {
            Ok(program) => Some(program),
            Err(source) => {
                let program = config.program[0].clone();
                failed = Some(StartError { program, source });
                None
            }
        }
    };
    let plan = Plan {
        host,
        listener,
        clients,
        no_exit_with_child: config.no_exit_with_child,
        no_damage_buffer: config.no_damage_buffer,
        ready: config.sd_notify.clone(),
    };
    let status = serve(plan, signals, start)?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(status),
    }
}

/// The exit status for an error: that of a shell when the program could not be
/// run, else 1.
#[must_use]
pub fn exit_status(error: &anyhow::Error) -> i32 {
    match error.downcast_ref::<StartError>() {
        Some(error) if error.source.kind() == io::ErrorKind::NotFound => NOT_FOUND,
        Some(_) => NOT_EXECUTABLE,
        None => 1,
    }
}

/// The host: `--display`, else the device, else (when no device was asked for
/// and there is none) the compositor that `WAYLAND_DISPLAY` names.
fn host(config: &Config) -> Result<Rc<dyn Host>> {
    if let Some(display) = &config.display {
        return socket_host(display);
    }
    let address = DeviceAddress::from_env()?;
    let host = match DeviceHost::open(address.clone()) {
        Ok(host) => host,
        Err(error) => {
            let asked_for = env::var_os(DEVICE_VARIABLE).is_some_and(|value| !value.is_empty());
            let outer = env::var_os("WAYLAND_DISPLAY").filter(|_| !asked_for && !config.parent);
            if let Some(display) = outer.filter(|_| !address.path().exists()) {
                tracing::info!(%error, "no device, use WAYLAND_DISPLAY");
                return socket_host(&display);
            }
            return Err(error).context(
                "no way to the host; set VIRTIO_WL_DEVICE, or give a compositor's socket with \
                 --display=SOCKET",
            );
        }
    };
    Ok(Rc::new(host))
}

fn socket_host(display: &OsStr) -> Result<Rc<dyn Host>> {
    let path = socket_path(display, env::var_os("XDG_RUNTIME_DIR"))?;
    Ok(Rc::new(SocketHost::new(path)))
}
