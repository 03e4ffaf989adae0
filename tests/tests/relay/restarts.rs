//! The parts may start in any order, end and come back.

use anyhow::{Context as _, Result, ensure};

use crate::setup::{Relayed, staying};

#[test]
fn a_client_waits_for_the_compositor() -> Result<()> {
    let mut relayed = Relayed::prepare()?;
    relayed.start_relay(&[])?;
    let chain = &relayed.chain;
    let client = chain.test_client(chain.app("work"), "pattern-client")?;
    let mut client = client
        .args(["--width=200", "--height=150", "--frames=5", "--exit"])
        .spawn()?;
    let relay = relayed.relay.as_ref().context("running")?;
    integration_tests::wait::until(
        "the relay to wait for a compositor",
        integration_tests::wait::Deadline::step(),
        || {
            let waits = relay.log_text().contains("waiting for the compositor");
            Ok(waits.then_some(()))
        },
    )?;
    relayed.start_ours()?;
    ensure!(client.wait()?.success(), "{}", client.log_text());
    relayed.chain.works(relayed.chain.app("personal"))?;
    relayed.stop()
}

#[test]
fn the_compositor_may_be_restarted() -> Result<()> {
    let mut relayed = Relayed::ours()?;
    for _ in 0..2 {
        let mut client = staying(&relayed, "work")?;
        let compositor = relayed.compositor.as_mut().context("running")?;
        compositor.kill()?;
        ensure!(
            !client.wait()?.success(),
            "its window went with the compositor"
        );
        relayed.start_ours()?;
        relayed.chain.works(relayed.chain.app("work"))?;
        relayed.chain.works(relayed.chain.app("personal"))?;
    }
    relayed.stop()
}

#[test]
fn the_relay_may_be_restarted() -> Result<()> {
    let mut relayed = Relayed::ours()?;
    relayed.chain.works(relayed.chain.app("work"))?;
    relayed.relay.as_mut().context("running")?.stop_cleanly()?;
    relayed.start_relay(&[])?;
    relayed.chain.works(relayed.chain.app("work"))?;
    relayed.stop()
}

#[test]
fn the_compositors_device_may_be_restarted() -> Result<()> {
    let mut relayed = Relayed::ours()?;
    relayed.chain.works(relayed.chain.app("work"))?;
    let device = relayed.chain.compositor_device.as_mut();
    device.context("running")?.kill()?;
    relayed.chain.start_compositor_device()?;
    relayed.chain.works(relayed.chain.app("work"))?;
    relayed.stop()
}
