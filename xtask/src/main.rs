//! `cargo xtask`: installs what is needed, builds, runs, tests and measures virtio-wl.
//!
//! * `deps`: the Debian packages, and installing the missing ones
//! * `cargo`: building the workspace
//! * `header`: the C header, and whether it is up to date
//! * `install`: libraries, header, programs and manual pages
//! * `demo`: two app VMs and their windows, as a picture
//! * `test`: everything that can be checked here, with counts
//! * `bench`: round trips compared, kicks and interrupts counted
//! * `vm`: QEMU, bootable images, and one guest on the terminal
//! * `interrupt`: Ctrl-C as an event, so that everything is stopped in order
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod cargo;
mod demo;
mod deps;
mod header;
mod install;
mod interrupt;
mod test;
mod vm;

/// Installs, builds, runs, tests and measures virtio-wl.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Windows of two app VMs side by side, as a screenshot
    Demo(demo::Args),
    /// Run every check and test, with counts
    Test(test::Args),
    /// Measure round trips against a plain Unix socket
    Bench(bench::Args),
    /// Make bootable images for virtual machines
    Image(vm::ImageArgs),
    /// Boot one guest, with its console or a shell on this terminal
    Vm(vm::run::Args),
    /// Make include/virtio_wl.h and the manual pages of section 3 anew from the C ABI's sources
    Header(header::Args),
    /// Install libraries, header, programs and manual pages
    Install(install::Args),
    /// Install the Debian packages that are missing
    InstallDeps,
}

fn run() -> Result<ExitCode> {
    match Args::parse().task {
        Task::Demo(args) => demo::run(&args).map(|()| ExitCode::SUCCESS),
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => bench::run(&args).map(|()| ExitCode::SUCCESS),
        Task::Image(args) => vm::make_images(&args).map(|()| ExitCode::SUCCESS),
        Task::Vm(args) => vm::run::run(&args).map(|()| ExitCode::SUCCESS),
        Task::Header(args) => header::run(&args).map(|()| ExitCode::SUCCESS),
        Task::Install(args) => install::run(&args).map(|()| ExitCode::SUCCESS),
        Task::InstallDeps => deps::require(deps::ALL).map(|()| ExitCode::SUCCESS),
    }
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    /// Only this finds options of one task that stand in the way of each other.
    #[test]
    fn options_fit_together() {
        super::Args::command().debug_assert();
    }
}
