//! An app VM is killed as by a power cut: only its own windows go, and what it held comes back.

use anyhow::{Context as _, Result};
use integration_tests::VmSpec;
use integration_tests::vm::VmChain;
use integration_tests::wait::{self, Deadline};
use serde_json::Value;
use vm_tests::scene::{self, PERSONAL, READ_LINE, STAY, WORK};

/// Room for one terminal with two buffers of 480x240 pixels, not for two terminals: a second one
/// needs what the first gave back.
const MAX_BYTES: u32 = 1024 * 1024;

/// VFDs and mapped bytes a device holds for its guest; the memory server's quota counts the memory.
fn held(chain: &VmChain, vm: &str) -> Result<(u64, u64)> {
    let text = chain.host().device_ctl(vm, &["list"])?;
    let listing: Value = serde_json::from_str(&text).context("listing of a device")?;
    let total = |name: &str| {
        let value = listing["totals"][name].as_u64();
        value.with_context(|| format!("no {name} in {text}"))
    };
    Ok((total("vfds")?, total("mapped_bytes")?))
}

fn deadline() -> Deadline {
    Deadline::after(integration_tests::vm::STEP)
}

#[test]
fn a_killed_app_vm_takes_only_its_own_windows_with_it() -> Result<()> {
    let Some(builder) = VmChain::for_test()? else {
        return Ok(());
    };
    let mut limited = VmSpec::new(WORK.0, WORK.1);
    limited.memory_limits = format!("max-bytes = {MAX_BYTES}\n");
    let builder = builder.app(PERSONAL.0, PERSONAL.1).app_spec(limited);
    let mut chain = builder.start()?;
    scene::terminal(&chain, PERSONAL.0, "survivor", "true", READ_LINE)?;
    scene::terminal(&chain, WORK.0, "victim", "true", STAY)?;
    let holds = wait::until("memory of the window", deadline(), || {
        let (vfds, bytes) = held(&chain, WORK.0)?;
        Ok((vfds > 0 && bytes > 0).then_some(()))
    });
    holds.with_context(|| format!("held: {:?}", held(&chain, WORK.0)))?;

    chain.take_app(WORK.0)?.kill()?;
    let screen = chain.screen()?;
    screen.ctl().wait_no_windows(WORK.0)?;
    let left = wait::until("the device to let go", deadline(), || {
        let left = held(&chain, WORK.0)?;
        Ok((left == (0, 0)).then_some(left))
    });
    left.with_context(|| format!("held: {:?}", held(&chain, WORK.0)))?;

    // The other one still shows what is typed into it.
    let survivor = screen.ctl().wait_title(PERSONAL.0, "survivor")?;
    screen.click(survivor.content()?)?;
    screen.type_text("alive\n")?;
    screen.ctl().wait_title(PERSONAL.0, "read: alive")?;

    // The same device serves the VM's next boot, from the same quota.
    chain.start_app(WORK.0)?;
    scene::terminal(&chain, WORK.0, "again", "true", STAY)?;
    chain.stop()
}
