//! Entry point: arguments, logging, and the order of starting.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use nix::sys::stat::{Mode, umask};
use sd_notify::NotifyState;
use virtio_wl::{DeviceAddress, program};
use virtio_wl_relay::args::Args;
use virtio_wl_relay::display::Display;
use virtio_wl_relay::{relay, sandbox};

fn main() -> ExitCode {
    let args = Args::parse();
    program::log("info");
    program::exit_code(run(args))
}

fn run(args: Args) -> anyhow::Result<()> {
    let device = DeviceAddress::from_env().context("device")?;
    let display = Display::from_env(args.display)?;
    program::raise_file_limit();
    // For the moment that a socket of ours has a name.
    umask(Mode::from_bits_truncate(0o077));
    if args.no_sandbox {
        tracing::warn!("running without sandbox");
    } else {
        sandbox::apply(&device, &display, args.labels).context("sandbox")?;
    }
    relay::run(&args.context, display, args.labels, notify_ready)?;
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    tracing::info!("stopped");
    Ok(())
}

fn notify_ready() {
    // A failure means that nobody waits for the word.
    if let Err(error) = sd_notify::notify(&[NotifyState::Ready]) {
        tracing::warn!(%error, "the service manager cannot be told of being ready");
    }
}
