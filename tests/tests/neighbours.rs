//! What one client does wrong costs that client alone: programs of the same VM and of another go
//! on, and every daemon lives.

use anyhow::{Context as _, Result, ensure};
use integration_tests::{AppVm, Chain, Talk};

/// Runs one attack beside honest programs of both VMs; what it said of its end.
fn attack(name: &str, count: u32) -> Result<String> {
    let chain = Chain::builder()?
        .vm("personal", "#2e7d32")
        .vm("work", "#c62828")
        .start()?;
    let ctl = chain.ctl()?;
    let (bad, good) = (chain.app("work"), chain.app("personal"));
    let neighbour = stepping(&chain, good)?;
    let outcome = chain.attack((bad, good), neighbour, name, count)?;
    ctl.wait_no_windows(bad.name())?;
    chain.stop()?;
    Ok(outcome)
}

/// A neighbour whose window was there before the attack.
fn stepping(chain: &Chain, vm: &AppVm) -> Result<Talk> {
    let client = chain.test_client(vm, "pattern-client")?;
    let client = client.args(["--width=200", "--height=150", "--frames=5", "--step"]);
    let mut client = client.arg("--title=neighbour").talk()?;
    ensure!(client.line()? == "frame 0", "no first frame");
    Ok(client)
}

#[test]
fn a_buffer_cut_off_after_its_commit() -> Result<()> {
    attack("truncated-buffer", 1).map(drop)
}

#[test]
fn sizes_at_the_ends_of_their_ranges() -> Result<()> {
    attack("absurd-geometry", 1).map(drop)
}

#[test]
fn a_client_that_never_reads_is_bounded() -> Result<()> {
    // 20 million answers: more than all buffers on the way may hold.
    let outcome = attack("never-reads", 20_000_000)?;
    ensure!(
        outcome == "blocked" || outcome == "closed",
        "nothing bounded it: {outcome}"
    );
    Ok(())
}

#[test]
fn damage_without_end() -> Result<()> {
    attack("damage-flood", 200_000).map(drop)
}

#[test]
fn frames_without_end() -> Result<()> {
    attack("commit-flood", 100_000).map(drop)
}

#[test]
fn descriptors_without_end_are_bounded() -> Result<()> {
    attack("fd-flood", 100_000).map(drop)
}

#[test]
fn surfaces_without_end() -> Result<()> {
    attack("object-flood", 100_000).map(drop)
}

#[test]
fn a_message_of_an_impossible_length_ends_its_connection() -> Result<()> {
    let outcome = attack("bad-length", 1)?;
    ensure!(outcome == "closed", "{outcome}");
    Ok(())
}

#[test]
fn a_request_to_no_object_ends_its_connection() -> Result<()> {
    let outcome = attack("bad-object", 1)?;
    ensure!(outcome == "closed", "{outcome}");
    Ok(())
}

#[test]
fn an_app_device_killed_under_traffic_costs_only_its_vm() -> Result<()> {
    let mut chain = Chain::builder()?
        .vm("personal", "#2e7d32")
        .vm("work", "#c62828")
        .start()?;
    let bad = chain.test_client(chain.app("work"), "pattern-client")?;
    let mut bad = bad.args(["--width=200", "--height=150"]).spawn()?;
    chain.ctl()?.wait_title("work", "pattern done")?;
    let mut good = stepping(&chain, chain.app("personal"))?;
    chain.app_mut("work").daemon().context("running")?.kill()?;
    let ended = bad.wait();
    ensure!(
        !ended?.success(),
        "its programs should have lost their connection"
    );
    chain.ctl()?.wait_no_windows("work")?;
    good.say("next")?;
    ensure!(
        good.line()? == "frame 1",
        "the neighbour's window has stopped"
    );
    chain.works(chain.app("personal"))?;
    good.process().stop()?;
    // Its sockets are left; a new device takes their place.
    let index = chain.apps().iter().position(|vm| vm.name() == "work");
    chain.start_app_device(index.context("an app VM of this chain")?)?;
    chain.works(chain.app("work"))?;
    chain.stop()
}
