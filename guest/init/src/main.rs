//! The first process of a guest image.
//!
//! It mounts, loads modules, starts what the image is for, does what the host asks for over a
//! virtio-serial port, and powers off. One thread, nothing blocking, no shell.
//!
//! `boot` is what happens once; `init` is the loop, and `init::power` its end; `agent` serves the
//! host; `spawn`, `session`, `identity` and `signals` are about programs; `uevent`, `ports`,
//! `kmsg` and `sys` about the kernel.

mod agent;
mod args;
mod boot;
mod console;
mod first;
mod identity;
mod init;
mod kmsg;
mod ports;
mod session;
mod signals;
mod spawn;
mod sys;
mod uevent;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    console::install();
    if std::process::id() == 1 {
        // The kernel passes on what it does not know of its command line: no arguments of ours.
        first::run();
    }
    match args::Args::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
