//! Debian's compositors, unmodified, in a compositor VM: each gets ready, shows a program of its own VM,
//! and comes back when it has crashed.

use anyhow::{Context as _, Result, ensure};
use integration_tests::vm::{Assets, Image, Vm};
use vm_tests::foreign::{self, MEDIUM};

/// A background that nothing else on a screen has.
const COLOUR: &str = "4060a0";
/// Another one.
const OTHER: &str = "604020";

fn boot(compositor: &str) -> Result<Option<Vm>> {
    let Some(assets) = Assets::for_test(&[Image::Desktop])? else {
        return Ok(None);
    };
    let builder = Vm::builder(&assets, Image::Desktop).compositor(&[compositor]);
    let vm = builder.start()?;
    vm.wait_ready()?;
    Ok(Some(vm))
}

fn shows_a_local_client_before_and_after_a_crash(compositor: &str) -> Result<()> {
    let Some(vm) = boot(compositor)? else {
        return Ok(());
    };
    let terminal = foreign::terminal(&vm, MEDIUM, COLOUR, &foreign::STAY)?;
    let seen = foreign::wait_colours(&vm, &format!("{compositor}-local"), &[COLOUR]);
    seen.with_context(|| terminal.story())?;
    let typing = foreign::Typing::start(&vm, &vm, OTHER)?;
    typing.type_text(&vm, "Hello, World! 42 (a/b)")?;
    foreign::wait_colours(&vm, &format!("{compositor}-typed"), &[OTHER])?;
    typing.stop()?;

    let (ready, ends) = (vm.ready_count(), vm.service_end_count());
    foreign::crash(&vm, compositor)?;
    vm.wait_service_end(ends)?;
    let ended = terminal.wait()?;
    ensure!(
        !ended.success(),
        "a terminal without its compositor: {ended:?}"
    );
    vm.wait_ready_again(ready)?;
    let terminal = foreign::terminal(&vm, MEDIUM, COLOUR, &foreign::STAY)?;
    let seen = foreign::wait_colours(&vm, &format!("{compositor}-again"), &[COLOUR]);
    seen.with_context(|| terminal.story())?;
    vm.stop()
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn labwc_shows_a_local_client_before_and_after_a_crash() -> Result<()> {
    shows_a_local_client_before_and_after_a_crash("labwc")
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn sway_shows_a_local_client_before_and_after_a_crash() -> Result<()> {
    shows_a_local_client_before_and_after_a_crash("sway")
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn weston_shows_a_local_client_before_and_after_a_crash() -> Result<()> {
    shows_a_local_client_before_and_after_a_crash("weston")
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn cage_shows_a_local_client_before_and_after_a_crash() -> Result<()> {
    shows_a_local_client_before_and_after_a_crash("cage")
}
