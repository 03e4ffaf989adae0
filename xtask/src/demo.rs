//! Windows of real programs from two app VMs, side by side in the compositor.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use integration_tests::chain::ChainBuilder;
use integration_tests::process::Daemon;
use integration_tests::wait::{self, Deadline};
use integration_tests::{Chain, leak};

use crate::cargo::Profile;
use crate::interrupt::Interrupt;
use crate::{cargo, deps};

/// Windows of two app VMs side by side, as a screenshot.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stay until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Where the picture goes (default: demo.png in the target directory)
    #[arg(long, value_name = "PATH")]
    screenshot: Option<PathBuf>,
    /// Run the debug build, as the tests do; quicker to compile
    #[arg(long)]
    debug: bool,
}

/// The app VM whose programs have a `sommelier` each.
const PERSONAL: (&str, &str) = ("personal", "#2e7d32");
/// The app VM whose programs share one `sommelier --parent`.
const WORK: (&str, &str) = ("work", "#c62828");
/// Wayland socket of the shared `sommelier`, in the runtime directory of its VM.
const SHARED_SOCKET: &str = "wayland-0";
/// Room for the four windows in a row.
const SCREEN: (u32, u32) = (1360, 400);
/// What foot shows, and the title that says it has.
const FOOT_SCRIPT: &str = r"printf '\n  \033[1mThis terminal runs in the app VM \033[32mpersonal\033[0m\033[1m.\033[0m\n\n  Its window crossed to the compositor VM over virtio_wl.\n  The frame around it is the compositor'\''s: nothing\n  in here can draw on it.\n\n  $ \033]2;personal terminal\033\\'; exec tail -f /dev/null";
/// A longer --keep is not expected; it only turns an endless wait into a long one.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

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
    // Orphans of what we start become our children: whatever stays behind is seen.
    nix::sys::prctl::set_child_subreaper(true).context("subreaper")?;
    let mut progress = Progress { step: 0 };
    deps::require(&[deps::BUILD, deps::PROGRAMS])?;
    progress.say("needed packages are installed");
    println!("     building (a few minutes the first time) ...");
    let profile = if args.debug {
        Profile::Debug
    } else {
        Profile::Release
    };
    let binaries = cargo::build(profile)?;
    progress.say("all parts are built");
    let screenshot = match &args.screenshot {
        Some(path) => std::path::absolute(path).context("path of the screenshot")?,
        None => cargo::target_dir()?.join("demo.png"),
    };

    let before = own_descriptors()?;
    let builder = ChainBuilder::new(binaries)
        .vm(PERSONAL.0, PERSONAL.1)
        .vm(WORK.0, WORK.1)
        .size(SCREEN.0, SCREEN.1);
    let chain = builder.start_with(|what| progress.say(what))?;
    let dir = chain.paths().dir().path().to_owned();
    interrupt.check()?;
    let mut programs = start_programs(&chain, &mut progress)?;
    interrupt.check()?;
    chain.ctl()?.screenshot(&screenshot)?;
    progress.say(&format!("screenshot: {}", screenshot.display()));
    if args.keep {
        keep(&chain, &programs, &interrupt, &mut progress)?;
    }
    programs.stop()?;
    drop(programs);
    progress.say("programs have ended");
    chain.stop()?;
    progress.say("all daemons have ended and removed their sockets");
    nothing_left(&dir, &before)?;
    progress.say("no process, descriptor or file is left");
    println!("{}", screenshot.display());
    Ok(())
}

/// Everything that runs in the app VMs.
struct Programs {
    apps: Vec<Daemon>,
    parent: Daemon,
}

impl Programs {
    fn stop(&mut self) -> Result<()> {
        for app in &mut self.apps {
            app.stop()?;
        }
        self.parent.stop()?;
        Ok(())
    }
}

fn start_programs(chain: &Chain, progress: &mut Progress) -> Result<Programs> {
    let ctl = chain.ctl()?;
    let config = chain.paths().dir().write(
        "foot.ini",
        "font=DejaVu Sans Mono:size=11\ninitial-window-size-pixels=540x300\n[cursor]\nblink=no\n",
    )?;
    let config = format!("--config={}", config.display());
    let (personal, work) = (chain.app(PERSONAL.0), chain.app(WORK.0));
    let mut apps = Vec::new();

    apps.push(chain.spawn(personal, "foot", [&config, "sh", "-c", FOOT_SCRIPT])?);
    shown(
        &mut apps,
        ctl.wait_title(personal.name(), "personal terminal"),
    )?;
    progress.say("app VM personal: sommelier foot has a window");
    apps.push(chain.spawn(personal, "weston-flower", [""; 0])?);
    shown(&mut apps, ctl.wait_windows(personal.name(), 2))?;
    progress.say("app VM personal: sommelier weston-flower has a window");

    let parent = chain.spawn_parent(work, SHARED_SOCKET)?;
    progress.say("app VM work: sommelier --parent listens");
    for (index, program) in ["weston-simple-damage", "weston-simple-shm"]
        .iter()
        .enumerate()
    {
        apps.push(chain.spawn_client(work, SHARED_SOCKET, program, [""; 0])?);
        shown(&mut apps, ctl.wait_windows(work.name(), index + 1))?;
        progress.say(&format!("app VM work: {program} has a window"));
    }
    wait_for_text(chain, personal.name())?;
    Ok(Programs { apps, parent })
}

/// The outcome of waiting for the newest program's window. That the program has ended says more than
/// that its window is not there.
fn shown<T>(apps: &mut [Daemon], waited: Result<T>) -> Result<T> {
    if waited.is_err()
        && let Some(app) = apps.last_mut()
        && let Some(status) = app.try_wait()?
    {
        bail!("{} has ended by itself ({status})", app.name());
    }
    waited
}

/// Waits until the terminal's text is on the screen: its picture has more than a few colours.
fn wait_for_text(chain: &Chain, vm: &str) -> Result<()> {
    /// An empty terminal has a background and a cursor.
    const PLAIN: usize = 4;
    let ctl = chain.ctl()?;
    let area = ctl.wait_title(vm, "terminal")?.content()?;
    let path = chain.paths().dir().join("text.png");
    ctl.wait_picture("text in the terminal", &path, |picture| {
        let content = picture.crop(area.x, area.y, area.width, area.height);
        content.is_ok_and(|content| content.colours() > PLAIN)
    })?;
    Ok(())
}

/// Stays until Ctrl-C, or until a part ends by itself.
fn keep(
    chain: &Chain,
    programs: &Programs,
    interrupt: &Interrupt,
    progress: &mut Progress,
) -> Result<()> {
    progress.say("running until Ctrl-C");
    println!("     chain in {}", chain.paths().dir().path().display());
    let mut names = vec!["Ctrl-C"];
    let mut fds: Vec<BorrowedFd<'_>> = vec![interrupt.fd()];
    for daemon in chain.daemons().chain([&programs.parent]) {
        names.push(daemon.name());
        fds.push(daemon.end_fd());
    }
    let ready = wait::readable(&fds, Deadline::after(KEEP))?;
    match ready.iter().position(|ready| *ready) {
        Some(index) if index > 0 => bail!("{} has ended by itself", names[index]),
        _ => Ok(()),
    }
}

/// Our own open descriptors.
fn own_descriptors() -> Result<BTreeSet<String>> {
    let open = leak::descriptors(std::process::id())?;
    Ok(open
        .into_iter()
        .map(|(number, what)| format!("{number}: {what}"))
        .collect())
}

/// Fails when a process, a descriptor or a file of the run is left.
fn nothing_left(dir: &Path, before: &BTreeSet<String>) -> Result<()> {
    let reaped = || {
        // Orphans that ended just now wait to be reaped by us.
        while let Ok(status) =
            nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG))
        {
            if status == nix::sys::wait::WaitStatus::StillAlive {
                break;
            }
        }
        Ok(leak::children(std::process::id())?.is_empty().then_some(()))
    };
    wait::until("all processes to end", Deadline::step(), reaped)?;
    ensure!(!dir.exists(), "{} is left", dir.display());
    let now = own_descriptors()?;
    // The directory of descriptors itself is one, with a changing name.
    let left: Vec<_> = now
        .difference(before)
        .filter(|what| !what.contains("/proc/"))
        .collect();
    ensure!(left.is_empty(), "descriptors left: {left:?}");
    Ok(())
}
