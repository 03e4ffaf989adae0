//! Entry point.

use std::io;
use std::process::ExitCode;

use anyhow::Context;
use calloop::signals::{Signal, Signals};
use clap::Parser;
use sd_notify::NotifyState;
use virtio_wl::program;
use virtio_wl_compositor::DisplayLost;
use virtio_wl_compositor::args::{Args, Command, ServerArgs};
use virtio_wl_compositor::config::{Config, Display};
use virtio_wl_compositor::control::{self, ctl};
use virtio_wl_compositor::run::run;
use virtio_wl_compositor::state::Compositor;

/// Smithay tells of every seat and output at `info`, of which each VM has its own.
const DEFAULT_LOG: &str = "info,smithay=warn";

/// Exit status when the display cannot be used, or not any more. 1 is any other
/// failure, 2 a wrong command line.
const NO_DISPLAY: u8 = 3;

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.command {
        Some(Command::Ctl(args)) => ctl::run(args, &mut io::stdout().lock()),
        None => serve(args.server),
    };
    let lost = |error: &anyhow::Error| error.is::<DisplayLost>();
    let no_display = result.as_ref().is_err_and(lost);
    let code = program::exit_code(result);
    match no_display {
        true => ExitCode::from(NO_DISPLAY),
        false => code,
    }
}

fn serve(args: ServerArgs) -> anyhow::Result<()> {
    program::log(DEFAULT_LOG);
    let config = Config::try_from(args)?;
    run(&config, |compositor| {
        stop_on_signals(compositor)?;
        if let Some(path) = &config.control {
            control::listen(compositor, path)
                .with_context(|| format!("cannot make the control socket {}", path.display()))?;
        }
        match config.display {
            // All sockets listen; VMs can connect once the host is there.
            Display::Headless { .. } => notify_ready(),
            // The screen is there; a machine without VMs to show is not ready.
            Display::Kms { .. } => when_listening(compositor),
        }
        Ok(())
    })
}

fn when_listening(compositor: &mut Compositor) {
    let look = |compositor: &mut Compositor| {
        let listening = compositor.is_listening();
        if listening {
            notify_ready();
        }
        !listening
    };
    if look(compositor) {
        compositor.watch(Box::new(look));
    }
}

fn notify_ready() {
    // A failure means that nobody waits for the word.
    if let Err(error) = sd_notify::notify(&[NotifyState::Ready]) {
        tracing::warn!(%error, "the service manager cannot be told of being ready");
    }
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
