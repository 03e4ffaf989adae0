//! A guest starts, does what it is told, and is gone in order.

use anyhow::Result;
use integration_tests::vm::Vm;
use vm_tests::selftest;

/// Tests of the driver that need no peer on the host, and none of the device's memory.
const NODE: &str = "device: opens";

#[test]
fn a_bare_guest_has_its_device_and_powers_off() -> Result<()> {
    let Some(vm) = Vm::bare()? else { return Ok(()) };
    selftest::run(&vm, &[NODE, "memory: is mapped at the offset asked for"])?;
    vm.stop()
}

#[test]
fn the_device_can_be_taken_out_and_put_in_again() -> Result<()> {
    let Some(mut vm) = Vm::bare()? else {
        return Ok(());
    };
    selftest::run(&vm, &[NODE])?;
    vm.device()?.daemon().kill()?;
    vm.monitor().unplug_wl()?;
    vm.device()?.restart()?;
    let socket = vm.device()?.socket();
    vm.monitor().plug_wl(&socket)?;
    selftest::run(
        &vm,
        &["--wait", NODE, "memory: is mapped at the offset asked for"],
    )?;
    vm.stop()
}
