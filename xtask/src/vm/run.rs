//! One guest on the terminal: booted, used by a person, powered off.

use std::ffi::OsString;
use std::fmt::Display as Text;
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration_tests::vm::console::Joined;
use integration_tests::vm::qemu::Display;
use integration_tests::vm::{Assets, ENDLESS, Vm};
use integration_tests::wait::{self, Deadline};

use super::{Accel, Image};
use crate::cargo::{self, Profile};
use crate::interrupt::Interrupt;

#[cfg(test)]
mod tests;

/// Boot one guest, with its console or a shell on this terminal.
///
/// The guest has a virtio_wl device of its own, so that /dev/wl0 is there; windows of an app guest need a
/// whole chain (`cargo xtask demo --vm --keep`), or `--device`. Nothing it writes to its disk is kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask vm bare --shell                the driver, by hand
  cargo xtask vm app --shell --memory 1024
  cargo xtask vm compositor --display gtk    its screen in a window
  cargo xtask vm desktop --compositor labwc --run foot
  cargo xtask vm bare -- -d guest_errors     an argument for QEMU

Ctrl-C powers the guest off, once more cuts it off. In a shell Ctrl-C is the guest's: leave by Ctrl-].")]
pub(crate) struct Args {
    /// What to boot
    #[arg(value_enum)]
    image: Image,
    /// A root shell of the guest on this terminal, instead of its console
    #[arg(long)]
    shell: bool,
    /// Show the compositor's screen: vnc, or a window of gtk or sdl (default: vnc)
    #[arg(long, value_name = "KIND", value_parser = display)]
    display: Option<Display>,
    /// What a desktop guest runs: labwc, sway, weston, cage, or another program with its arguments
    #[arg(long, value_name = "PROGRAM ARGS", default_value = "labwc")]
    compositor: String,
    /// Start a program in the guest's session once it is ready; repeatable
    #[arg(long, value_name = "PROGRAM ARGS")]
    run: Vec<String>,
    /// Join the guest to the vhost-device-wl that listens at this socket, instead of one of its own
    #[arg(long, value_name = "SOCKET")]
    device: Option<PathBuf>,
    /// Memory of the guest in MiB
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(128..))]
    memory: Option<u32>,
    /// How the guest runs
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    accel: Accel,
    /// Which build of our programs to put into the image; the tests use debug
    #[arg(long, value_enum, default_value_t = Profile::Debug)]
    profile: Profile,
    /// Further arguments of QEMU
    #[arg(last = true, value_name = "QEMU ARGS")]
    qemu: Vec<OsString>,
}

/// A kind of display.
fn display(kind: &str) -> Result<Display, String> {
    match kind {
        "none" => Ok(Display::None),
        "vnc" => Ok(Display::Vnc),
        "gtk" | "sdl" => Ok(Display::Window(kind.to_owned())),
        other => Err(format!("{other} is not vnc, gtk, sdl or none")),
    }
}

impl Args {
    /// The image, the one with a shell if that is wanted.
    fn image(&self) -> Image {
        match self.image {
            Image::Compositor if self.shell => Image::CompositorDebug,
            other => other,
        }
    }

    /// Where the screen is shown: only the compositor has one.
    fn display(&self) -> Result<Display> {
        let has_screen = matches!(self.image, Image::Compositor | Image::Desktop);
        ensure!(
            has_screen || self.display.is_none(),
            "only a compositor has a screen to be shown"
        );
        Ok(match &self.display {
            Some(display) => display.clone(),
            None if has_screen => Display::Vnc,
            None => Display::None,
        })
    }
}

/// Boots a guest and stays with it until its end.
///
/// # Errors
/// When it cannot be made or started, or does not power off in order.
pub(crate) fn run(args: &Args) -> Result<()> {
    let interrupt = Interrupt::take()?;
    let display = args.display()?;
    let files = super::ensure(&[args.image()], args.profile)?;
    let accel = args.accel.resolve(&files)?;
    let assets = Assets::with(cargo::build(args.profile)?)?;
    interrupt.check()?;

    let mut builder = Vm::builder(&assets, args.image().guest())
        .accel(accel.parse()?)
        .display(display.clone())
        .life(ENDLESS)
        .quiet();
    if args.shell {
        builder = builder.kernel_word("vwl.shell");
    }
    if args.image == Image::Desktop {
        let argv: Vec<&str> = args.compositor.split_whitespace().collect();
        builder = builder.compositor(&argv);
    }
    if let Some(socket) = &args.device {
        let socket = std::path::absolute(socket).context("path of the device's socket")?;
        builder = builder.device_at(socket);
    }
    if let Some(memory) = args.memory {
        builder = builder.memory_mib(memory);
    }
    for command in &args.run {
        let argv: Vec<&str> = command.split_whitespace().collect();
        builder = builder.autostart(&argv);
    }
    for arg in &args.qemu {
        builder = builder.qemu_arg(arg);
    }
    let vm = builder.spawn()?;
    let terminal = if args.shell {
        Joined::shell(&vm.paths().shell())?
    } else {
        Joined::console(&vm.paths().console())?
    };
    say(format_args!(
        "{} boots ({accel}); {}",
        args.image().name(),
        if args.shell {
            "Ctrl-] leaves its shell and powers it off"
        } else {
            "Ctrl-C powers it off"
        }
    ));
    if display == Display::Vnc
        && let Some(port) = vm.monitor().vnc_port()?
    {
        say(format_args!("screen: vncviewer 127.0.0.1::{port}"));
    }
    Visit::new(vm, terminal, interrupt)?.stay()
}

/// A line of ours among those of the guest. A terminal that gives each key to the guest also wants
/// to be told to go back to the left.
fn say(what: impl Text) {
    let mut output = std::io::stdout();
    // A closed pipe is no reason to cut the guest off.
    let _ = write!(output, "--- {what}\r\n").and_then(|()| output.flush());
}

/// A running guest and the person at the terminal.
struct Visit {
    vm: Vm,
    terminal: Joined,
    interrupt: Interrupt,
    /// Readable when init says something; `None` when it says no more.
    news: Option<OwnedFd>,
    started: Instant,
    booted: bool,
    ready: u32,
    service_ends: u32,
    /// It was asked to power off.
    leaving: bool,
}

/// How long a guest may take to power off when it was asked to.
const POWER_OFF: Duration = Duration::from_secs(60);

impl Visit {
    fn new(vm: Vm, terminal: Joined, interrupt: Interrupt) -> Result<Self> {
        Ok(Self {
            news: Some(vm.news_fd()?),
            vm,
            terminal,
            interrupt,
            started: Instant::now(),
            booted: false,
            ready: 0,
            service_ends: 0,
            leaving: false,
        })
    }

    /// Stays until the guest has ended.
    fn stay(mut self) -> Result<()> {
        let mut deadline = Deadline::after(ENDLESS);
        loop {
            let mut fds = vec![self.vm.qemu().end_fd(), self.interrupt.fd()];
            let ours = fds.len();
            fds.extend(self.terminal.fds());
            let terminal = ours..fds.len();
            fds.extend(self.news.as_ref().map(|news| news.as_fd()));
            let ready = wait::readable(&fds, deadline).context("the guest does not power off")?;
            let was_open = self.terminal.is_open();
            self.terminal.step(&ready[terminal.clone()])?;
            if ready.get(terminal.end) == Some(&true) {
                self.hear()?;
            }
            if ready[0] {
                drop(self.terminal);
                say(format_args!("the guest has ended"));
                return self.vm.wait_end();
            }
            let left = was_open && !self.terminal.is_open();
            if self.interrupt.taken()? || left && !self.leaving {
                if self.leaving || !self.booted {
                    drop(self.terminal);
                    say("the guest is cut off");
                    return self.vm.kill();
                }
                say("powering off ...");
                self.vm.power_off()?;
                self.leaving = true;
                deadline = Deadline::after(POWER_OFF);
            }
        }
    }

    /// Takes what init says, and tells what matters to a person.
    fn hear(&mut self) -> Result<()> {
        if !self.vm.take_news()? {
            self.news = None;
        }
        let after = self.started.elapsed().as_secs_f64();
        if let (false, Some(kernel)) = (self.booted, self.vm.kernel()) {
            self.booted = true;
            say(format_args!("Linux {kernel} has booted ({after:.1} s)"));
        }
        let ready = self.vm.ready_count();
        if ready > self.ready {
            say(format_args!("its service is ready ({after:.1} s)"));
        }
        let ends = self.vm.service_end_count();
        if ends > self.service_ends && !self.leaving {
            say("its service has ended; see the console");
        }
        (self.ready, self.service_ends) = (ready, ends);
        Ok(())
    }
}
