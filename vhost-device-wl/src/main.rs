//! `vhost-device-wl`: see the library for what it does.

use anyhow::Context;
use clap::Parser;
use tracing_subscriber::EnvFilter;
use vhost_device_wl::args::{Args, Command};
use vhost_device_wl::config::Config;
use vhost_device_wl::{ctl, daemon};

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            EnvFilter::try_from_env("VIRTIO_WL_LOG").unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .init();
    match args.command {
        Some(Command::Ctl(args)) => Ok(ctl::run(args)?),
        None => {
            let config = Config::try_from(args.serve).context("bad command line")?;
            Ok(daemon::run(config)?)
        }
    }
}
