//! `vhost-device-wl`: see the library for what it does.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use vhost_device_wl::args::{Args, Command};
use vhost_device_wl::config::Config;
use vhost_device_wl::{ctl, daemon};

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(
            EnvFilter::try_from_env("VIRTIO_WL_LOG").unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .init();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line; nowhere to report that it cannot be written.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Some(Command::Ctl(args)) => Ok(ctl::run(args)?),
        None => Ok(daemon::run(Config::try_from(args.serve)?)?),
    }
}
