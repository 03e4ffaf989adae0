//! A `vhost-device-wl` is killed under its guest: programs get errors, and nothing hangs.

use anyhow::{Context as _, Result, ensure};
use integration_tests::vm::VmChain;
use vm_tests::scene::{self, PERSONAL, STAY, WORK};

#[test]
fn a_killed_device_costs_its_guests_windows_and_can_be_replaced() -> Result<()> {
    let Some(mut chain) = scene::two_app_vms()? else {
        return Ok(());
    };
    scene::terminal(&chain, PERSONAL.0, "survivor", "true", STAY)?;
    let (victim, _) = scene::terminal(&chain, WORK.0, "victim", "true", STAY)?;
    device(&mut chain)?.kill()?;
    chain.screen()?.ctl().wait_no_windows(WORK.0)?;
    // What a launcher does: the dead device is taken out, and so every open VFD ends.
    chain.app(WORK.0)?.monitor().unplug_wl()?;
    let ended = victim.wait()?;
    ensure!(!ended.success(), "a terminal without its device: {ended:?}");
    scene::works(&chain, PERSONAL.0)?;

    let index = chain.app_names().position(|name| name == WORK.0);
    chain
        .host_mut()
        .start_app_device(index.context("an app VM of this chain")?)?;
    let socket = chain.host().paths().device(WORK.0);
    chain.app(WORK.0)?.monitor().plug_wl(&socket)?;
    // The node is there before init has given it to the session, and nothing else tells of that.
    let mine = "until test -w /dev/wl0; do sleep 0.1; done";
    chain.app(WORK.0)?.run(["sh", "-c", mine])?.success()?;
    scene::works(&chain, WORK.0)?;
    chain.stop()
}

fn device(chain: &mut VmChain) -> Result<&mut integration_tests::Daemon> {
    let device = chain.host_mut().app_mut(WORK.0).daemon();
    device.context("the device runs")
}
