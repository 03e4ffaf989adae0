//! Without virtual machines: the daemons, and programs with the embedded driver as guests.

use anyhow::{Result, bail};
use integration_tests::Chain;
use integration_tests::chain::ChainBuilder;
use integration_tests::process::Daemon;

use super::leftovers::Before;
use super::{Args, FOOT_CONFIG, FOOT_SCRIPT, PERSONAL, Progress, WORK};
use crate::interrupt::Interrupt;
use crate::{cargo, deps};

/// Wayland socket of the shared `sommelier`, in the runtime directory of its VM.
const SHARED_SOCKET: &str = "wayland-0";
/// Room for the four windows in a row.
const SCREEN: (u32, u32) = (1360, 400);

/// Runs the demo and stops everything again. The programs of `personal` have a `sommelier` each,
/// those of `work` share one `sommelier --parent`.
pub(super) fn run(args: &Args, interrupt: &Interrupt, progress: &mut Progress) -> Result<()> {
    let before = Before::look()?;
    deps::require(&[deps::BUILD, deps::PROGRAMS])?;
    progress.say("needed packages are installed");
    println!("     building (a few minutes the first time) ...");
    let binaries = cargo::build(args.profile())?;
    progress.say("all parts are built");
    let screenshot = args.screenshot("demo.png")?;

    let builder = ChainBuilder::new(binaries)
        .vm(PERSONAL.0, PERSONAL.1)
        .vm(WORK.0, WORK.1)
        .size(SCREEN.0, SCREEN.1);
    let chain = builder.start_with(|what| progress.say(what))?;
    let dir = chain.paths().dir().path().to_owned();
    interrupt.check()?;
    let mut programs = start_programs(&chain, progress)?;
    interrupt.check()?;
    chain.ctl()?.screenshot(&screenshot)?;
    progress.say(&format!("screenshot: {}", screenshot.display()));
    if args.keep {
        keep(&chain, &programs, interrupt, progress)?;
    }
    programs.stop()?;
    drop(programs);
    progress.say("programs have ended");
    chain.stop()?;
    progress.say("all daemons have ended and removed their sockets");
    before.nothing_left(&dir)?;
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
    let config = chain.paths().dir().write("foot.ini", FOOT_CONFIG)?;
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
    super::stay(chain.daemons().chain([&programs.parent]), interrupt)
}
