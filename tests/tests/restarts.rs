//! The parts may start in any order, end and come back.

use anyhow::{Context as _, Result};
use integration_tests::Chain;
use integration_tests::chain::ChainBuilder;

fn builder() -> Result<ChainBuilder> {
    Ok(Chain::builder()?.vm("personal", "#2e7d32"))
}

/// A program of the VM shows its window and ends.
fn works(chain: &Chain) -> Result<()> {
    chain.works(chain.app("personal"))
}

#[test]
fn the_accept_proxy_may_start_before_the_devices() -> Result<()> {
    let mut chain = builder()?.prepare()?;
    chain.start_accept_proxy()?;
    chain.start_memory_server()?;
    chain.start_app_device(0)?;
    chain.start_compositor_device()?;
    chain.start_compositor()?;
    works(&chain)?;
    chain.stop()
}

#[test]
fn the_accept_proxy_may_start_last() -> Result<()> {
    let mut chain = builder()?.prepare()?;
    chain.start_memory_server()?;
    chain.start_compositor_device()?;
    chain.start_app_device(0)?;
    chain.start_compositor()?;
    chain.start_accept_proxy()?;
    works(&chain)?;
    chain.stop()
}

#[test]
fn the_accept_proxy_may_be_restarted() -> Result<()> {
    let mut chain = builder()?.start()?;
    works(&chain)?;
    chain
        .accept_proxy
        .as_mut()
        .context("running")?
        .stop_cleanly()?;
    chain.start_accept_proxy()?;
    works(&chain)?;
    chain.stop()
}

#[test]
fn the_compositors_device_may_be_restarted_with_its_vm() -> Result<()> {
    let mut chain = builder()?.start()?;
    works(&chain)?;
    // The guest's driver cannot outlive its device: both go, the accept proxy stays.
    chain
        .compositor_device
        .as_mut()
        .context("running")?
        .kill()?;
    chain.compositor.as_mut().context("running")?.stop()?;
    chain.start_compositor_device()?;
    chain.start_compositor()?;
    works(&chain)?;
    chain.stop()
}

#[test]
fn the_compositor_may_be_restarted() -> Result<()> {
    let mut chain = builder()?.start()?;
    works(&chain)?;
    chain
        .compositor
        .as_mut()
        .context("running")?
        .stop_cleanly()?;
    chain.start_compositor()?;
    works(&chain)?;
    chain.stop()
}

#[test]
fn an_app_device_may_be_restarted() -> Result<()> {
    let mut chain = builder()?.start()?;
    works(&chain)?;
    chain
        .app_mut("personal")
        .daemon()
        .context("running")?
        .stop_cleanly()?;
    chain.start_app_device(0)?;
    works(&chain)?;
    chain.stop()
}

#[test]
fn the_memory_server_may_be_restarted() -> Result<()> {
    let mut chain = builder()?.start()?;
    works(&chain)?;
    chain
        .memory_server
        .as_mut()
        .context("running")?
        .stop_cleanly()?;
    chain.start_memory_server()?;
    works(&chain)?;
    chain.stop()
}
