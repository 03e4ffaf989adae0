//! The first process of a guest image.
//!
//! It mounts, loads modules, starts what the image is for, does what the host asks for over a
//! virtio-serial port, and powers off. One thread, nothing blocking, no shell.
//!
//! `first` is the way from the kernel to power off, with `boot` for what happens once and `roles`
//! for what an image is for; `init` is the loop, and `init::power` its end; `agent` serves the host,
//! `screen` passes its bytes to the compositor, `desktop` is about compositors that are not ours, `halt` listens to the guest itself; `service` keeps
//! programs running; `spawn`, `session`, `identity` and `signals` are about programs, `devices`,
//! `power_button`, `ports`, `kmsg` and `sys` about the kernel, and `console` is where people read.

mod agent;
mod args;
mod boot;
mod console;
mod desktop;
mod devices;
mod first;
mod halt;
mod identity;
mod init;
mod kmsg;
mod ports;
mod power_button;
mod roles;
mod screen;
mod service;
mod session;
mod signals;
mod spawn;
mod sys;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    console::install();
    if std::process::id() == 1 {
        // The kernel passes on what it does not know of its command line: no arguments of ours.
        first::run();
    }
    let name = std::env::args_os().next().map(PathBuf::from);
    let result = if name.is_some_and(|name| name.ends_with(halt::COMMAND)) {
        halt::ask()
    } else {
        args::Args::parse().run()
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
