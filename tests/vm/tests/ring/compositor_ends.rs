//! The compositor VM is killed and comes back; nothing on the host is started again.

use anyhow::{Result, ensure};
use integration_tests::Daemon;
use integration_tests::vm::VmChain;
use vm_tests::scene::{self, PERSONAL, STAY};

fn daemons(chain: &VmChain) -> Vec<(String, u32)> {
    let daemons = chain.host().daemons();
    daemons
        .map(|daemon: &Daemon| (daemon.name().to_owned(), daemon.pid()))
        .collect()
}

#[test]
fn new_windows_work_after_the_compositor_vm_was_killed() -> Result<()> {
    let Some(mut chain) = scene::one_app_vm()? else {
        return Ok(());
    };
    let before = daemons(&chain);
    let (program, _) = scene::terminal(&chain, PERSONAL.0, "before", "true", STAY)?;
    chain.take_compositor()?.kill()?;
    // Its program is told by the end of its connection, as by any compositor that ends.
    let ended = program.wait()?;
    ensure!(
        !ended.success(),
        "a terminal without its compositor: {ended:?}"
    );

    chain.start_compositor()?;
    scene::terminal(&chain, PERSONAL.0, "after", "true", STAY)?;
    ensure!(daemons(&chain) == before, "a daemon was started again");
    for daemon in chain.host().daemons() {
        ensure!(!daemon.has_ended()?, "{} has ended", daemon.name());
    }
    chain.stop()
}
