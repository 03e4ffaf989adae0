//! A guest starts, does what it is told, and is gone in order.

use anyhow::{Result, ensure};
use integration_tests::vm::Vm;

#[test]
fn a_bare_guest_has_its_device_and_powers_off() -> Result<()> {
    let Some(vm) = Vm::bare()? else { return Ok(()) };
    let output = vm.run(["virtio-wl-selftest", "--list"])?.success()?;
    ensure!(output.stdout.lines().count() > 10, "{output:?}");
    vm.stop()
}

#[test]
fn the_device_can_be_taken_out_and_put_in_again() -> Result<()> {
    let Some(mut vm) = Vm::bare()? else {
        return Ok(());
    };
    vm.device()?.daemon().kill()?;
    vm.monitor().unplug_wl()?;
    vm.device()?.restart()?;
    let socket = vm.device()?.socket();
    vm.monitor().plug_wl(&socket)?;
    vm.stop()
}
