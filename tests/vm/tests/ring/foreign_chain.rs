//! Debian's compositors, unmodified, with clients of two app VMs and of their own VM at once.

use anyhow::{Context as _, Result, bail, ensure};
use integration_tests::vm::{Program, VmChain, VmChainBuilder};
use vm_tests::foreign::{self, LARGE, MEDIUM, SMALL, STAY, Size, Typing};
use vm_tests::scene::{PERSONAL, WORK};

/// Backgrounds of terminals in the app VMs, and in the compositor's own VM.
const BACKGROUNDS: [&str; 3] = ["2e5d32", "7c2828", "30406a"];
/// Their sizes.
const SIZES: [Size; 3] = [LARGE, MEDIUM, SMALL];
/// Of a terminal that is typed into.
const TYPED: &str = "5a4a10";
/// What is typed.
const TEXT: &str = "Hello, World! 42 (a/b)";

/// What keys make the window that has the keyboard fill the screen, if it does not do so anyway.
fn maximise(compositor: &str) -> &'static [&'static str] {
    match compositor {
        "labwc" => &["meta_l", "a"],
        "weston" => &["meta_l", "shift", "m"],
        "sway" => &["meta_l", "f"],
        _ => &[],
    }
}

/// Terminals in all three VMs, seen together; where each window fills the screen, one by one.
fn show(chain: &VmChain, compositor: &str) -> Result<Vec<Program>> {
    let screen = chain.compositor()?;
    let vms = [chain.app(PERSONAL.0)?, chain.app(WORK.0)?, screen];
    let mut terminals = Vec::new();
    for ((vm, background), size) in vms.into_iter().zip(BACKGROUNDS).zip(SIZES) {
        let terminal = foreign::terminal(vm, size, background, &STAY)?;
        let name = format!("{compositor}-{background}");
        let seen = foreign::wait_colours(screen, &name, &[background]);
        seen.with_context(|| terminal.story())?;
        terminals.push(terminal);
    }
    if compositor != "cage" {
        let name = format!("{compositor}-three-vms");
        foreign::wait_colours(screen, &name, &BACKGROUNDS)?;
    }
    Ok(terminals)
}

fn serves_two_app_vms_and_a_local_client(compositor: &str) -> Result<()> {
    match foreign::start(compositor, |builder| builder)? {
        Some(chain) => serves(chain, compositor),
        None => Ok(()),
    }
}

fn serves(chain: VmChain, compositor: &str) -> Result<()> {
    let screen = chain.compositor()?;
    let terminals = show(&chain, compositor)?;

    let typing = Typing::start(chain.app(PERSONAL.0)?, screen, TYPED)?;
    typing.type_text(screen, TEXT)?;
    let name = format!("{compositor}-typed-vm");
    foreign::wait_colours(screen, &name, &[TYPED])?;
    let keys = maximise(compositor);
    if !keys.is_empty() {
        screen.monitor().chord(keys)?;
    }
    foreign::wait_filled(screen, &format!("{compositor}-maximised"), TYPED)?;
    typing.type_text(screen, TEXT)?;
    typing.stop()?;

    // The others are still there, each in its own VM.
    for terminal in terminals {
        if !terminal.is_running()? {
            bail!("a terminal has ended: {}", terminal.story());
        }
        terminal.stop()?;
    }
    chain.stop()
}

#[test]
fn labwc_serves_two_app_vms_and_a_local_client() -> Result<()> {
    serves_two_app_vms_and_a_local_client("labwc")
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn sway_serves_two_app_vms_and_a_local_client() -> Result<()> {
    serves_two_app_vms_and_a_local_client("sway")
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn weston_serves_two_app_vms_and_a_local_client() -> Result<()> {
    serves_two_app_vms_and_a_local_client("weston")
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn cage_serves_two_app_vms_and_a_local_client() -> Result<()> {
    serves_two_app_vms_and_a_local_client("cage")
}

/// A program that draws small parts of its window again and again.
fn draws_damage(compositor: &str) -> Result<()> {
    let Some(chain) = foreign::start(compositor, |builder| builder)? else {
        return Ok(());
    };
    let screen = chain.compositor()?;
    let program = chain.app(PERSONAL.0)?.run(["weston-simple-damage"])?;
    let drawn = foreign::wait_frames(screen, &format!("{compositor}-damage"), 6);
    drawn.with_context(|| program.story())?;
    ensure!(program.is_running()?, "it has ended: {}", program.story());
    program.stop()?;
    chain.stop()
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn labwc_draws_damage() -> Result<()> {
    draws_damage("labwc")
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn weston_draws_damage() -> Result<()> {
    draws_damage("weston")
}

fn serves_new_windows_after_a_crash(chain: &VmChain, compositor: &str) -> Result<()> {
    let (screen, app) = (chain.compositor()?, chain.app(PERSONAL.0)?);
    let background = BACKGROUNDS[0];
    let terminal = foreign::terminal(app, MEDIUM, background, &STAY)?;
    let name = format!("{compositor}-before-crash");
    let seen = foreign::wait_colours(screen, &name, &[background]);
    seen.with_context(|| terminal.story())?;

    let (ready, ends) = (screen.ready_count(), screen.service_end_count());
    foreign::crash(screen, compositor)?;
    screen.wait_service_end(ends)?;
    let ended = terminal.wait()?;
    ensure!(
        !ended.success(),
        "a terminal without its compositor: {ended:?}"
    );
    screen.wait_ready_again(ready)?;
    let terminal = foreign::terminal(app, MEDIUM, background, &STAY)?;
    let name = format!("{compositor}-after-crash");
    let seen = foreign::wait_colours(screen, &name, &[background]);
    seen.with_context(|| terminal.story())?;
    terminal.stop().map(drop)
}

fn comes_back(
    compositor: &str,
    change: impl FnOnce(VmChainBuilder) -> VmChainBuilder,
) -> Result<()> {
    let Some(chain) = foreign::start(compositor, change)? else {
        return Ok(());
    };
    serves_new_windows_after_a_crash(&chain, compositor)?;
    chain.stop()
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn labwc_serves_new_windows_after_a_crash() -> Result<()> {
    comes_back("labwc", |builder| builder)
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn weston_serves_new_windows_after_a_crash() -> Result<()> {
    comes_back("weston", |builder| builder)
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn a_relay_serves_new_windows_after_a_crash_of_its_compositor() -> Result<()> {
    comes_back("labwc", VmChainBuilder::relay)
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn labwc_serves_them_by_a_relay() -> Result<()> {
    match foreign::start("labwc", VmChainBuilder::relay)? {
        Some(chain) => serves(chain, "labwc"),
        None => Ok(()),
    }
}
