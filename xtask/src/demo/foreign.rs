//! With a compositor that is not ours: it cannot be asked for windows, so its screen is looked at. Its
//! VM shows a program of its own, too.

use anyhow::{Context as _, Result};
use integration_tests::Picture;
use integration_tests::picture::Rgb;
use integration_tests::screen::{self, Screen as _};
use integration_tests::vm::{Program, Vm, VmChain};

use super::vms::{CONFIG_PATH, GTK_PROGRAM};
use super::{FOOT_CONFIG, PERSONAL, Progress, WORK};

/// What the terminal of the app VM shows; its last bytes are a mark in [`APP_MARK`].
const APP_SCRIPT: &str = r"printf '\n  \033[1mThis terminal runs in the app VM personal.\033[0m\n\n  Its window crossed to the compositor VM over virtio_wl.\n\n  \033[48;2;46;125;50m          \033[0m '; exec tail -f /dev/null";
/// Colour of its mark.
const APP_MARK: Rgb = [46, 125, 50];
/// Its size in pixels: it shows the program of the other app VM below.
const APP_SIZE: &str = "--window-size-pixels=620x400";
/// What the terminal of the compositor's VM shows; its last bytes are a mark in [`LOCAL_MARK`].
const LOCAL_SCRIPT: &str = r"printf '\n  \033[1mThis one runs in the compositor VM.\033[0m\n\n  \033[48;2;48;80;160m          \033[0m '; exec tail -f /dev/null";
/// Colour of its mark.
const LOCAL_MARK: Rgb = [48, 80, 160];
/// Its size in pixels: it shows the terminal of the app VM below.
const LOCAL_SIZE: &str = "--window-size-pixels=400x120";
/// What GTK draws most of a window in that has the keyboard, in the theme that it has by itself.
const GTK_MARK: Rgb = [0xf6, 0xf5, 0xf4];
/// Pixels of a mark that are seen at least.
const MARKED: usize = 200;
/// Pixels that a new window changes at least.
const WINDOW: usize = 10_000;
/// Pixels that a panel's clock may change when nothing else does.
const CLOCK: usize = 1_000;

/// Starts programs in all VMs, one after the other, and waits until each is drawn.
pub(super) fn start_programs(chain: &VmChain, progress: &mut Progress) -> Result<Vec<Program>> {
    let (personal, work) = (chain.app(PERSONAL.0)?, chain.app(WORK.0)?);
    let config = format!("--config={CONFIG_PATH}");
    for vm in [personal, chain.compositor()?] {
        vm.write_file(CONFIG_PATH, FOOT_CONFIG)?;
    }
    let foot = |size, script| vec!["foot", &*config, size, "sh", "-c", script];
    let mut start = |vm: &Vm, name: &str, argv: Vec<&str>, mark: Rgb| {
        let program = argv.first().copied().unwrap_or_default().to_owned();
        let started = shown(chain, vm, argv, mark)?;
        progress.say(&format!("{name}: {program} has a window"));
        anyhow::Ok(started)
    };
    let (app, local) = (foot(APP_SIZE, APP_SCRIPT), foot(LOCAL_SIZE, LOCAL_SCRIPT));
    Ok(vec![
        start(work, "app VM work", vec![GTK_PROGRAM], GTK_MARK)?,
        start(personal, "app VM personal", app, APP_MARK)?,
        start(chain.compositor()?, "compositor VM", local, LOCAL_MARK)?,
    ])
}

/// Starts a program, and waits until the screen has changed, shows its mark, and stays.
fn shown(chain: &VmChain, vm: &Vm, argv: Vec<&str>, mark: Rgb) -> Result<Program> {
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
        let marked = picture.count(mark) >= MARKED;
        settled && marked && !near(&before, WINDOW)
    });
    drawn.with_context(|| program.story())?;
    Ok(program)
}
