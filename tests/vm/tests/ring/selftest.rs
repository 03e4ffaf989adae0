//! The self-test of the kernel's driver, with its peers on the host.
#![allow(clippy::print_stdout, reason = "the count is the test's result")]

use anyhow::Result;
use integration_tests::vm::{Assets, Image};
use vm_tests::selftest::{self, Peer};

fn passes_on(image: Image) -> Result<()> {
    let Some(assets) = Assets::for_test(&[image])? else {
        return Ok(());
    };
    let peer = Peer::start(&assets)?;
    let vm = peer.vm(&assets, image, &[]).spawn()?;
    let release = vm.wait_booted()?;
    let results = selftest::run(&vm, &[])?;
    let passed = results.passed;
    println!("self-test of the driver on Linux {release}: {passed} passed");
    for figure in results.figures {
        println!("  {figure}");
    }
    vm.stop()?;
    peer.stop()
}

#[test]
fn the_drivers_self_test_passes() -> Result<()> {
    passes_on(Image::Bare)
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn the_drivers_self_test_passes_on_the_oldest_kernel() -> Result<()> {
    passes_on(Image::BareOldest)
}
