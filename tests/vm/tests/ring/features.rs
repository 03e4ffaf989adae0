//! Devices that lack features: the driver works with them, and its self-test says what it could not
//! try.
#![allow(clippy::print_stdout, reason = "the counts are the test's result")]

use std::time::Duration;

use anyhow::{Result, ensure};
use integration_tests::vm::{Assets, Image};
use vm_tests::selftest::{self, Peer};

/// Features that are left out, as `vhost-device-wl` and as the protocol names them.
type Missing = &'static [(&'static str, &'static str)];

const TRANS_FLAGS: (&str, &str) = ("trans-flags", "TRANS_FLAGS");
const SEND_FENCES: (&str, &str) = ("send-fences", "SEND_FENCES");
const USE_SHMEM: (&str, &str) = ("use-shmem", "USE_SHMEM");
const REFRESH: (&str, &str) = ("refresh", "REFRESH");
const CREDIT: (&str, &str) = ("credit", "CREDIT");

/// Each alone, then all.
const DEVICES: [Missing; 6] = [
    &[TRANS_FLAGS],
    &[SEND_FENCES],
    &[USE_SHMEM],
    &[REFRESH],
    &[CREDIT],
    &[TRANS_FLAGS, SEND_FENCES, USE_SHMEM, REFRESH, CREDIT],
];

/// As many runs of the self-test, each of which takes minutes on a busy machine.
const LIFE: Duration = Duration::from_secs(3000);

fn arguments(missing: Missing) -> Vec<String> {
    let option = |(name, _): &(&str, _)| ["--without-feature".to_owned(), (*name).to_owned()];
    missing.iter().flat_map(option).collect()
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn the_driver_works_with_devices_that_lack_features() -> Result<()> {
    let Some(assets) = Assets::for_test(&[Image::Bare])? else {
        return Ok(());
    };
    let peer = Peer::start(&assets)?;
    let builder = peer.vm(&assets, Image::Bare, &arguments(DEVICES[0]));
    let mut vm = builder.life(LIFE).start()?;
    for (number, missing) in DEVICES.into_iter().enumerate() {
        if number > 0 {
            vm.monitor().unplug_wl()?;
            let args = [peer.device_args(), arguments(missing)].concat();
            vm.device()?.restart_with(args)?;
            let socket = vm.device()?.socket();
            vm.monitor().plug_wl(&socket)?;
        }
        // Its last test takes the device out of the driver.
        let results = selftest::run_possible(&vm, &["--wait"])?;
        let names: Vec<&str> = missing.iter().map(|(_, name)| *name).collect();
        println!(
            "without {}: {} passed, {} skipped",
            names.join(", "),
            results.passed,
            results.skipped.len()
        );
        for skip in &results.skipped {
            let expected = names
                .iter()
                .any(|name| skip.contains(&format!("the device has no {name}:")));
            ensure!(expected, "without {names:?}: {skip}");
        }
        vm.check_kernel_log()?;
    }
    vm.stop()?;
    peer.stop()
}
