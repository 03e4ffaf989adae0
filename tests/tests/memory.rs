//! The memory quota of a VM: exhausted, it costs only that VM, and it comes back.

use anyhow::{Result, ensure};
use integration_tests::{AppVm, Chain, Talk, VmSpec};

/// Fits two windows of 200 × 150 with three buffers each, and no full-HD buffer.
const MAX_BYTES: u32 = 2 * 1024 * 1024;

fn chain() -> Result<Chain> {
    let mut limited = VmSpec::new("work", "#c62828");
    limited.memory_limits = format!("max-bytes = {MAX_BYTES}\n");
    Chain::builder()?
        .vm("personal", "#2e7d32")
        .vm_spec(limited)
        .start()
}

/// A window of the given size, drawn and stepping.
fn window(chain: &Chain, vm: &AppVm, width: u32, height: u32) -> Result<Talk> {
    let client = chain.test_client(vm, "pattern-client")?;
    let client = client
        .arg(format!("--width={width}"))
        .arg(format!("--height={height}"));
    client.args(["--frames=3", "--step"]).talk()
}

#[test]
fn an_exhausted_quota_costs_only_its_vm_and_comes_back() -> Result<()> {
    let chain = chain()?;
    let (limited, other) = (chain.app("work"), chain.app("personal"));
    let mut first = window(&chain, limited, 200, 150)?;
    ensure!(first.line()? == "frame 0", "within its quota");

    let mut large = window(&chain, limited, 1000, 700)?;
    ensure!(large.line().is_err(), "2.8 MB of a quota of 2 MiB");
    ensure!(
        !large.process().wait()?.success(),
        "a client without memory cannot succeed"
    );

    // Neither the VM's other program nor the other VM has noticed.
    first.say("next")?;
    ensure!(first.line()? == "frame 1", "the first window has stopped");
    let mut elsewhere = window(&chain, other, 1000, 700)?;
    ensure!(
        elsewhere.line()? == "frame 0",
        "the other VM has a quota of its own"
    );
    elsewhere.process().stop()?;

    // And what was used comes back, again and again.
    first.process().stop()?;
    for _ in 0..20 {
        let mut again = window(&chain, limited, 300, 300)?;
        ensure!(again.line()? == "frame 0", "quota has not come back");
        again.process().stop()?;
    }
    chain.stop()
}
