//! What the interposing library does with the kernel's driver and not with the embedded one, asked for by
//! raw clients: on the host, as those of an app VM come from there.

use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;

use anyhow::{Result, ensure};
use integration_tests::vm::{Assets, Image, VmChain, VmChainBuilder};
use integration_tests::wire::Client;
use nix::sys::memfd::{MFdFlags, memfd_create};
use vm_tests::scene::PERSONAL;

/// wl_shm.create_pool, wl_shm_pool.resize
const CREATE_POOL: u16 = 0;
const RESIZE: u16 = 2;

const PAGE: u32 = 4096;

/// A compositor alone.
fn start(compositor: &str) -> Result<Option<VmChain>> {
    let Some(assets) = Assets::for_test(&[Image::Desktop, Image::App])? else {
        return Ok(None);
    };
    let builder = VmChainBuilder::new(assets)
        .app(PERSONAL.0, PERSONAL.1)
        .compositor(&[compositor]);
    let mut chain = builder.prepare()?;
    chain.start_compositor()?;
    Ok(Some(chain))
}

fn client(chain: &VmChain) -> Result<Client> {
    Client::start(&chain.host().paths().wayland(PERSONAL.0))
}

/// More events at once than a file of the kernel's driver takes, though a socket would.
fn events_at_once(chain: &VmChain) -> Result<()> {
    const BYTES: usize = 200 * 1024;
    let mut clients = [client(chain)?, client(chain)?];
    for _ in 0..3 {
        let mut expected = Vec::new();
        for client in &mut clients {
            expected.push(client.ask_for_events(BYTES)?);
        }
        for (client, expected) in clients.iter_mut().zip(expected) {
            let got = client.events_of_registries()?;
            ensure!(got == expected, "{got} bytes of {expected}");
        }
    }
    Ok(())
}

/// The kernel does not make mappings of its driver's memory longer.
fn growing_pools(chain: &VmChain) -> Result<()> {
    let mut client = client(chain)?;
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = std::fs::File::from(memfd_create("pool", flags)?);
    file.set_len(u64::from(4 * PAGE))?;
    let shm = client.bind("wl_shm", 1)?;
    let pool = client.new_id();
    client.request(shm, CREATE_POOL, &[pool, PAGE], &[file.as_fd()])?;
    client.sync()?;
    // Within the file.
    client.request(pool, RESIZE, &[4 * PAGE], &[])?;
    client.sync()?;
    // With it.
    file.write_all_at(&[1; PAGE as usize], u64::from(15 * PAGE))?;
    client.request(pool, RESIZE, &[16 * PAGE], &[])?;
    client.sync()?;
    // Beyond it.
    let error = client.protocol_error(|client| {
        client.request(pool, RESIZE, &[64 * PAGE], &[])?;
        client.sync()
    })?;
    ensure!(error.contains("failed mremap"), "{error}");
    Ok(())
}

#[test]
fn weston_serves_raw_clients() -> Result<()> {
    // It has libwayland's own `wl_shm`.
    let Some(chain) = start("weston")? else {
        return Ok(());
    };
    growing_pools(&chain)?;
    events_at_once(&chain)?;
    growing_pools(&chain)?;
    chain.stop()
}

/// What the library says when a compositor has taken a VM's listener.
const TOLD: &str = "the compositor knows this VM vm=";

/// What compositors never offer to clients of a security context.
const HIDDEN: &str = "wp_security_context_manager_v1";

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn labwc_is_told_which_vm_a_client_is_of() -> Result<()> {
    let Some(chain) = start("labwc")? else {
        return Ok(());
    };
    let client = client(&chain)?;
    ensure!(client.is_offered("wl_compositor"), "no wl_compositor");
    ensure!(!client.is_offered(HIDDEN), "a client without a context");
    let console = chain.compositor()?.console_tail();
    let told = format!("{TOLD}{}", PERSONAL.0);
    ensure!(console.contains(&told), "labwc was not told:\n{console}");
    chain.stop()
}
