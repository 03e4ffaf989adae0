//! Tests of a guest's `/dev/wl0`: the calls, errors, poll states, mappings and endings that
//! `linux/virtwl.h` and `libvirtio-wl/PROTOCOL.md` promise to programs, tried on the running kernel.
//!
//! Prints [TAP](https://testanything.org/) 13; the exit status is 0 only when everything passed.
//! The host has to run `selftest-peer` (in this package) and pass its sockets to the device:
//!
//! | context | option of `vhost-device-wl` | the peer |
//! |---|---|---|
//! | default | `--wayland-sock DIR/echo.sock` | sends back bytes and descriptors; hangs up at `quit` |
//! | `stuck` | `--wayland-sock DIR/stuck.sock,name=stuck` | accepts and never reads |
//! | `host` | `--wayland-sock DIR/host.sock,name=host` | does what it is told, see [`guest_selftest::peer::Order`] |
//!
//! [`checks`] has the tests, by group; [`device`] and [`mapping`] are typed wrappers that hide
//! nothing; [`sys`] holds the system calls.
#![allow(clippy::print_stdout, reason = "the lines are the result")]

mod checks;
mod device;
mod features;
mod mapping;
mod runner;
mod sys;
mod tap;
mod waiting;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Tests the virtio_wl driver of the running kernel; prints TAP.
#[derive(Debug, Parser)]
#[command(name = "virtio-wl-selftest", version)]
struct Args {
    /// The device
    #[arg(long, value_name = "PATH", default_value = "/dev/wl0")]
    device: PathBuf,
    /// Wait until the device is there: it has just been plugged in
    #[arg(long)]
    wait: bool,
    /// Only say what there is
    #[arg(long)]
    list: bool,
    /// Leave out the group `removal`, which takes the device away for good
    #[arg(long)]
    keep_device: bool,
    /// Only say which descriptors are open: for the test of close-on-exec
    #[arg(long, hide = true)]
    open_descriptors: bool,
    /// Only tests whose `group: name` contains one of these. The group `rebind` runs only when
    /// named, in a guest that has had no memory of the device before
    filter: Vec<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let tests = runner::select(checks::all(), &args.filter, args.keep_device);
    if args.open_descriptors {
        return print_open_descriptors();
    }
    if args.list {
        for test in &tests {
            println!("{test}");
        }
        return ExitCode::SUCCESS;
    }
    if args.wait
        && let Err(error) = waiting::until("the device", || Ok(args.device.exists()))
    {
        tap::bail_out(&format!("{error:#}"));
        return ExitCode::FAILURE;
    }
    runner::run(&args.device, &tests)
}

fn print_open_descriptors() -> ExitCode {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return ExitCode::FAILURE;
    };
    for entry in entries.flatten() {
        if let Ok(target) = std::fs::read_link(entry.path()) {
            println!("{}", target.display());
        }
    }
    ExitCode::SUCCESS
}
