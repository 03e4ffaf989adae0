//! With a compositor that is not ours: it cannot be asked for windows, so its screen is looked at. Its
//! VM shows a program of its own, too.

use anyhow::{Context as _, Result};
use integration_tests::Picture;
use integration_tests::screen::{self, Screen as _};
use integration_tests::vm::{Program, Vm, VmChain};

use super::vms::{CONFIG_PATH, GTK_PROGRAM};
use super::{FOOT_CONFIG, PERSONAL, Progress, WORK};

/// What the terminal of the app VM shows.
const APP_SCRIPT: &str = r"printf '\n  \033[1mThis terminal runs in the app VM \033[32mpersonal\033[0m\033[1m.\033[0m\n\n  Its window crossed to the compositor VM over virtio_wl.\n\n  $ '; exec tail -f /dev/null";
/// What the terminal of the compositor's VM shows.
const LOCAL_SCRIPT: &str = r"printf '\n  \033[1mThis terminal runs in the compositor VM.\033[0m\n\n  It uses the same socket of the compositor.\n\n  $ '; exec tail -f /dev/null";
/// Pixels that a new window changes at least.
const WINDOW: usize = 20_000;
/// Pixels that a panel's clock may change when nothing else does.
const CLOCK: usize = 1_000;

/// Starts programs in all VMs, one after the other, and waits until each is drawn.
pub(super) fn start_programs(chain: &VmChain, progress: &mut Progress) -> Result<Vec<Program>> {
    let (personal, work) = (chain.app(PERSONAL.0)?, chain.app(WORK.0)?);
    let config = format!("--config={CONFIG_PATH}");
    for vm in [personal, chain.compositor()?] {
        vm.write_file(CONFIG_PATH, FOOT_CONFIG)?;
    }
    let foot = |script| vec!["foot", &*config, "sh", "-c", script];
    let mut start = |vm: &Vm, name: &str, argv: Vec<&str>| {
        let program = argv.first().copied().unwrap_or_default().to_owned();
        let started = shown(chain, vm, argv)?;
        progress.say(&format!("{name}: {program} has a window"));
        anyhow::Ok(started)
    };
    Ok(vec![
        start(work, "app VM work", vec![GTK_PROGRAM])?,
        start(personal, "app VM personal", foot(APP_SCRIPT))?,
        start(chain.compositor()?, "compositor VM", foot(LOCAL_SCRIPT))?,
    ])
}

/// Starts a program, and waits until the screen has changed and stays.
fn shown(chain: &VmChain, vm: &Vm, argv: Vec<&str>) -> Result<Program> {
    let screen = chain.screen()?;
    let path = chain.host().paths().dir().join("screen.png");
    let before = screen.picture(&path)?;
    let program = vm.run(argv)?;
    let mut last: Option<Picture> = None;
    let drawn = screen::wait_picture(&screen, "a drawn window", &path, |picture| {
        let near = |other: &Picture, limit| {
            let difference = picture.difference(other);
            difference.is_ok_and(|(count, _)| count < limit)
        };
        let settled = last.as_ref().is_some_and(|last| near(last, CLOCK));
        last = Some(picture.clone());
        settled && !near(&before, WINDOW)
    });
    drawn.with_context(|| program.story())?;
    Ok(program)
}
