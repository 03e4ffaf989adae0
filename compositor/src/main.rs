//! Entry point.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use calloop::signals::{Signal, Signals};
use clap::Parser;
use sd_notify::NotifyState;
use tracing_subscriber::EnvFilter;
use virtio_wl_compositor::args::{Args, Command, ServerArgs};
use virtio_wl_compositor::config::Config;
use virtio_wl_compositor::control::{self, ctl};
use virtio_wl_compositor::run::run;
use virtio_wl_compositor::state::Compositor;

/// Environment variable with the log filter, as `tracing-subscriber` reads it.
const LOG_VARIABLE: &str = "VIRTIO_WL_LOG";

/// Smithay tells of every seat and output at `info`, of which each VM has its own.
const DEFAULT_LOG: &str = "info,smithay=warn";

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.command {
        Some(Command::Ctl(args)) => ctl::run(args, &mut io::stdout().lock()),
        None => serve(args.server),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done when standard error is gone too.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: ServerArgs) -> anyhow::Result<()> {
    let filter = match std::env::var_os(LOG_VARIABLE) {
        Some(_) => EnvFilter::try_from_env(LOG_VARIABLE)
            .with_context(|| format!("{LOG_VARIABLE} is not a log filter"))?,
        None => EnvFilter::new(DEFAULT_LOG),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let config = Config::try_from(args)?;
    run(&config, |compositor| {
        stop_on_signals(compositor)?;
        if let Some(path) = &config.control {
            control::listen(compositor, path)
                .with_context(|| format!("cannot make the control socket {}", path.display()))?;
        }
        // All sockets listen. A failure means that nobody waits for the word.
        if let Err(error) = sd_notify::notify(&[NotifyState::Ready]) {
            tracing::warn!(%error, "the service manager cannot be told of being ready");
        }
        Ok(())
    })
}

/// SIGTERM and SIGINT end the loop like `ctl quit`: everything is torn down in
/// order and socket files are removed.
fn stop_on_signals(compositor: &Compositor) -> anyhow::Result<()> {
    let signals =
        Signals::new(&[Signal::SIGTERM, Signal::SIGINT]).context("cannot receive signals")?;
    let stop = |event: calloop::signals::Event, (): &mut (), compositor: &mut Compositor| {
        tracing::info!(signal = ?event.signal(), "asked to stop");
        compositor.quit();
    };
    compositor
        .handle()
        .insert_source(signals, stop)
        .map_err(|error| anyhow::anyhow!("cannot receive signals: {error}"))?;
    Ok(())
}
