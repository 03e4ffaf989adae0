//! What ends a guest, and how it does: each time in order.

use anyhow::{Result, ensure};
use integration_tests::vm::{Assets, Image, Vm, VmChain};
use serde_json::json;

/// QEMU's word for a guest that has powered off.
const POWERED_OFF: &str = "guest-shutdown";
/// QEMU's word for a guest that restarts, which ends QEMU here as well.
const RESTARTS: &str = "guest-reset";

/// Waits until the guest has ended, for `reason`.
fn wait_end(vm: Vm, reason: &str) -> Result<()> {
    vm.monitor()
        .wait_event("SHUTDOWN", |data| data["reason"] == reason)?;
    vm.wait_end()
}

fn press_power_button(vm: Vm) -> Result<()> {
    vm.check_kernel_log()?;
    vm.monitor().execute("system_powerdown", json!({}))?;
    wait_end(vm, POWERED_OFF)
}

#[test]
fn the_power_button_ends_a_guest() -> Result<()> {
    let Some(vm) = Vm::bare()? else { return Ok(()) };
    press_power_button(vm)
}

#[test]
fn the_power_button_ends_the_compositor_vm_which_keeps_its_keyboard() -> Result<()> {
    let Some(builder) = VmChain::for_test()? else {
        return Ok(());
    };
    let mut chain = builder.start()?;
    // What is typed is for windows, whatever the kernel would make of it.
    chain
        .compositor()?
        .monitor()
        .chord(&["ctrl", "alt", "delete"])?;
    let vm = chain.take_compositor()?;
    ensure!(vm.service_end_count() == 0, "the compositor has ended");
    press_power_button(vm)?;
    chain.stop()
}

#[test]
fn ctrl_alt_del_restarts_a_guest() -> Result<()> {
    let Some(vm) = Vm::bare()? else { return Ok(()) };
    vm.monitor().chord(&["ctrl", "alt", "delete"])?;
    wait_end(vm, RESTARTS)
}

#[test]
fn an_app_guest_has_a_name_and_ends_itself() -> Result<()> {
    let Some(assets) = Assets::for_test(&[Image::App])? else {
        return Ok(());
    };
    let vm = Vm::builder(&assets, Image::App).name("my-vm").start()?;
    let said = |argv: &[&str]| -> Result<String> {
        let output = vm.run(argv.iter().copied())?.success()?;
        Ok(output.stdout.trim_end().to_owned())
    };
    let name = said(&["cat", "/proc/sys/kernel/hostname"])?;
    ensure!(name == "my-vm", "the guest is called {name}");
    // IFF_UP and IFF_LOOPBACK.
    let flags = said(&["cat", "/sys/class/net/lo/flags"])?;
    ensure!(flags == "0x9", "flags of lo: {flags}");
    // The user's own, without any right.
    vm.check_kernel_log()?;
    vm.run(["vm-halt"])?;
    wait_end(vm, POWERED_OFF)
}
