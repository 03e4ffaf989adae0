//! What one client does wrong costs that client alone.

use anyhow::{Context as _, Result, ensure};

use crate::setup::{Relayed, staying, stepping, works};

/// Runs an attack of a client in `work` beside programs of both VMs; what it said of its end.
fn attack(name: &str, count: u32) -> Result<String> {
    let relayed = Relayed::ours()?;
    let chain = &relayed.chain;
    let (bad, good) = (chain.app("work"), chain.app("personal"));
    let expected = chain.paths().dir().join("expected.png");
    let mut neighbour = stepping(chain, good, &expected)?;
    let command = chain.test_client(bad, "hostile-client")?;
    let mut attacker = command.arg(name).arg(format!("--count={count}")).talk()?;
    works(chain, good)?;
    let outcome = attacker.line().context("the attack's outcome")?;
    works(chain, good)?;
    works(chain, bad)?;
    neighbour.say("next")?;
    ensure!(
        neighbour.line()? == "frame 1",
        "the neighbour's window has stopped"
    );
    attacker.finish()?;
    neighbour.process().stop()?;
    relayed.stop()?;
    Ok(outcome)
}

#[test]
fn a_client_that_never_reads_is_bounded() -> Result<()> {
    // More answers than all buffers on the way may hold.
    let outcome = attack("never-reads", 20_000_000)?;
    ensure!(
        outcome == "blocked" || outcome == "closed",
        "nothing bounded it: {outcome}"
    );
    Ok(())
}

#[test]
fn descriptors_without_end() -> Result<()> {
    attack("fd-flood", 20_000).map(drop)
}

#[test]
fn frames_without_end() -> Result<()> {
    attack("commit-flood", 50_000).map(drop)
}

#[test]
fn an_app_device_killed_costs_only_its_vm() -> Result<()> {
    let mut relayed = Relayed::ours()?;
    let expected = relayed.chain.paths().dir().join("expected.png");
    let mut bad = staying(&relayed, "work")?;
    let chain = &relayed.chain;
    let mut good = stepping(chain, chain.app("personal"), &expected)?;
    let device = relayed.chain.app_mut("work").daemon();
    device.context("running")?.kill()?;
    ensure!(
        !bad.wait()?.success(),
        "its program should have lost its connection"
    );
    good.say("next")?;
    ensure!(good.line()? == "frame 1", "the neighbour has stopped");
    good.process().stop()?;
    works(&relayed.chain, relayed.chain.app("personal"))?;
    let index = relayed
        .chain
        .apps()
        .iter()
        .position(|vm| vm.name() == "work");
    relayed
        .chain
        .start_app_device(index.context("an app VM")?)?;
    works(&relayed.chain, relayed.chain.app("work"))?;
    relayed.stop()
}
