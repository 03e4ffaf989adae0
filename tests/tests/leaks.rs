//! Nothing is left behind: descriptors, processes, memory, files.

use anyhow::{Result, ensure};
use integration_tests::Chain;
use integration_tests::leak::{self, DescriptorCount};

const CONNECTIONS: u32 = 1000;
/// Growth of resident memory that counts as a leak, in KiB. A thousand leaked connections would be
/// far above (each has at least a 64 KiB bridge or queue), what an allocator keeps is below.
const GROWTH_KIB: u64 = 24 * 1024;

fn connect(chain: &Chain, count: u32) -> Result<()> {
    let vm = chain.app("personal");
    let client = chain.client(vm, "wayland-0", chain.binaries().path("connect-client")?);
    let (status, log) = client.arg(format!("--count={count}")).run()?;
    ensure!(status.success(), "{status}:\n{log}");
    Ok(())
}

#[test]
fn a_thousand_connections_leave_nothing() -> Result<()> {
    let chain = Chain::builder()?.vm("personal", "#2e7d32").start()?;
    let mut parent = chain.spawn_parent(chain.app("personal"), "wayland-0")?;
    // The first ones fill caches: recycled mappings, fonts, pools.
    connect(&chain, 100)?;
    chain.ctl()?.wait_no_windows("personal")?;

    let processes: Vec<_> = chain.daemons().chain([&parent]).collect();
    let counts: Vec<_> = processes
        .iter()
        .map(|process| DescriptorCount::take(process.name(), process.pid()))
        .collect::<Result<_>>()?;
    let memory: Vec<_> = processes
        .iter()
        .map(|process| leak::resident_kib(process.pid()))
        .collect::<Result<_>>()?;
    connect(&chain, CONNECTIONS)?;
    chain.ctl()?.wait_no_windows("personal")?;

    for count in &counts {
        count.settle(0)?;
    }
    for (process, before) in processes.iter().zip(memory) {
        let now = leak::resident_kib(process.pid())?;
        ensure!(
            now < before + GROWTH_KIB,
            "{}: {before} KiB before, {now} KiB after",
            process.name()
        );
        let children = leak::children(process.pid())?;
        ensure!(
            children.is_empty(),
            "{}: children {children:?}",
            process.name()
        );
    }
    parent.stop_cleanly()?;
    chain.stop()
}

#[test]
fn a_stopped_chain_leaves_no_socket() -> Result<()> {
    let chain = Chain::builder()?
        .vm("personal", "#2e7d32")
        .vm("work", "#c62828")
        .start()?;
    // `stop` looks for files itself.
    chain.stop()
}
