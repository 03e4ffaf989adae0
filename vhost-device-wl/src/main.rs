//! `vhost-device-wl`: see the library for what it does.

use std::process::ExitCode;

use clap::Parser;
use vhost_device_wl::args::{Args, Command};
use vhost_device_wl::config::Config;
use vhost_device_wl::{ctl, daemon};
use virtio_wl::program;

fn main() -> ExitCode {
    let args = Args::parse();
    program::log("info");
    program::exit_code(run(args))
}

fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Some(Command::Ctl(args)) => Ok(ctl::run(args)?),
        None => Ok(daemon::run(Config::try_from(args.serve)?)?),
    }
}
