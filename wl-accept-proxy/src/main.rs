//! Entry point: arguments, logging, and the order of starting.

mod args;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use virtio_wl::host::config;
use virtio_wl::host::listener::Activated;
use virtio_wl::program;
use wl_accept_proxy::config::Config;
use wl_accept_proxy::sandbox;
use wl_accept_proxy::server::Server;

use crate::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    program::log("info");
    program::exit_code(run(&args))
}

fn run(args: &Args) -> anyhow::Result<()> {
    let mut activated = Activated::from_env().context("socket activation")?;
    let config = config::load(&args.config, Config::parse)?;
    let mut server = Server::new(args.config.clone(), config.clone(), &mut activated)?;
    activated.close_rest();
    if args.no_sandbox {
        tracing::warn!("running without sandbox");
    } else {
        sandbox::apply(&args.config, &config).context("sandbox")?;
    }
    sd_notify::notify(&[sd_notify::NotifyState::Ready]).context("cannot notify readiness")?;
    tracing::info!(vms = config.vms.len(), "ready");
    server.run().context("event loop")?;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("stopped");
    Ok(())
}
