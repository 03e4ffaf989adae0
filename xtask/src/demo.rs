//! Windows of real programs from two app VMs, side by side in the compositor.
//!
//! * `embedded`: without virtual machines, as every test does it
//! * `vms`: with real ones
//! * `foreign`: what differs with a compositor that is not ours
//! * `leftovers`: that nothing stays behind

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use integration_tests::process::Daemon;
use integration_tests::wait::{self, Deadline};

use crate::cargo::{self, Profile};
use crate::interrupt::Interrupt;
use crate::vm::Accel;

mod embedded;
mod foreign;
mod leftovers;
mod vms;

/// Windows of two app VMs side by side, as a screenshot.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Boot real virtual machines
    #[arg(long)]
    vm: bool,
    /// Run a compositor of Debian's in place of ours: labwc, sway, weston or cage
    #[arg(long, value_name = "NAME", requires = "vm")]
    compositor: Option<String>,
    /// Stay until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Where the picture goes (default: demo.png, demo-vm.png or demo-NAME.png in the target
    /// directory)
    #[arg(long, value_name = "PATH")]
    screenshot: Option<PathBuf>,
    /// Run the debug build, as the tests do; quicker to compile
    #[arg(long)]
    debug: bool,
    /// How virtual machines run
    #[arg(long, value_enum, default_value_t = Accel::Auto, requires = "vm")]
    accel: Accel,
    /// Show the screen of the compositor's virtual machine: vnc, gtk or sdl (default with --keep:
    /// vnc)
    #[arg(long, value_name = "KIND", requires = "vm")]
    display: Option<String>,
}

impl Args {
    fn profile(&self) -> Profile {
        if self.debug {
            Profile::Debug
        } else {
            Profile::Release
        }
    }

    fn screenshot(&self, default: &str) -> Result<PathBuf> {
        match &self.screenshot {
            Some(path) => std::path::absolute(path).context("path of the screenshot"),
            None => Ok(cargo::target_dir()?.join(default)),
        }
    }
}

/// The app VM `personal`: name and colour.
const PERSONAL: (&str, &str) = ("personal", "#2e7d32");
/// The app VM `work`.
const WORK: (&str, &str) = ("work", "#c62828");
/// What foot shows, and the title that says it has.
const FOOT_SCRIPT: &str = r"printf '\n  \033[1mThis terminal runs in the app VM \033[32mpersonal\033[0m\033[1m.\033[0m\n\n  Its window crossed to the compositor VM over virtio_wl.\n  The frame around it is the compositor'\''s: nothing\n  in here can draw on it.\n\n  $ \033]2;personal terminal\033\\'; exec tail -f /dev/null";
/// How foot looks.
const FOOT_CONFIG: &str =
    "font=DejaVu Sans Mono:size=11\ninitial-window-size-pixels=540x300\n[cursor]\nblink=no\n";

/// Says each step on one line.
struct Progress {
    step: usize,
}

impl Progress {
    fn say(&mut self, what: &str) {
        self.step += 1;
        println!("[{:2}] {what}", self.step);
        // A closed pipe is no reason to leave the demo half-way.
        let _ = std::io::stdout().flush();
    }
}

/// Runs the demo and stops everything again.
pub(crate) fn run(args: &Args) -> Result<()> {
    let interrupt = Interrupt::take()?;
    let mut progress = Progress { step: 0 };
    if args.vm {
        vms::run(args, &interrupt, &mut progress)
    } else {
        embedded::run(args, &interrupt, &mut progress)
    }
}

/// Stays until Ctrl-C; fails when one of `daemons` ends by itself.
fn stay<'a>(daemons: impl Iterator<Item = &'a Daemon>, interrupt: &'a Interrupt) -> Result<()> {
    /// A longer stay is not expected; it only turns an endless wait into a long one.
    const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);
    let mut names = vec!["Ctrl-C"];
    let mut fds = vec![interrupt.fd()];
    for daemon in daemons {
        names.push(daemon.name());
        fds.push(daemon.end_fd());
    }
    let ready = wait::readable(&fds, Deadline::after(LIMIT))?;
    match ready.iter().position(|ready| *ready) {
        Some(index) if index > 0 => bail!("{} has ended by itself", names[index]),
        _ => Ok(()),
    }
}
