//! From a parsed command line to a served program.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};
use nix::sys::signal::SigSet;

use crate::args::Config;
use crate::conn::{Host, SocketHost};
use crate::server::child::{NOT_EXECUTABLE, NOT_FOUND, Program, Reach, private_connection};
use crate::server::listen::{Listener, socket_path};
use crate::server::{Plan, block_signals, serve};
use crate::sys;

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
    let mask = SigSet::thread_get_mask().context("cannot read the signal mask")?;
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
        match Program::start(&config.program, reach, mask) {
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

fn host(config: &Config) -> Result<Rc<dyn Host>> {
    let display = config
        .display
        .clone()
        .or_else(|| env::var_os("WAYLAND_DISPLAY"));
    let display = display.context("give the compositor's socket with --display")?;
    let path = socket_path(
        Path::new(&display).as_os_str(),
        env::var_os("XDG_RUNTIME_DIR"),
    )?;
    Ok(Rc::new(SocketHost::new(path)))
}
