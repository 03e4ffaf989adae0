//! Entry point: arguments, logging, and the order of starting.

mod args;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use memfd_server::config::Config;
use memfd_server::server::Server;
use memfd_server::{sandbox, server};
use tracing_subscriber::EnvFilter;
use virtio_wl::host::listener::Activated;

use crate::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = EnvFilter::try_from_env("VIRTIO_WL_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when stderr is gone.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let mut activated = Activated::from_env().context("socket activation")?;
    let config = Config::load(&args.config)
        .with_context(|| format!("configuration {}", args.config.display()))?;
    server::raise_descriptor_limit(&config).context("descriptor limit")?;
    server::check_watch_limit(&config);
    // Before the sandbox, which needs the directories of its sockets.
    let (mut server, mut event_loop) = Server::new(args.config.clone())?;
    server.start(&config, &mut activated)?;
    for name in activated.names() {
        tracing::warn!(name, "inherited a socket of a VM that is not configured");
    }
    drop(activated);
    if args.no_sandbox {
        tracing::warn!("running without sandbox");
    } else {
        sandbox::apply(&args.config, &config).context("sandbox")?;
    }
    sd_notify::notify(&[sd_notify::NotifyState::Ready]).context("cannot notify readiness")?;
    tracing::info!(vms = config.vms.len(), "ready");
    event_loop
        .run(None, &mut server, |_| {})
        .context("event loop")?;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("stopped");
    Ok(())
}
