//! The self-test of the kernel's driver, with its peers on the host.
#![allow(clippy::print_stdout, reason = "the count is the test's result")]

use anyhow::Result;
use integration_tests::dir::TestDir;
use integration_tests::process::Command;
use integration_tests::vm::{Assets, Image, Vm};
use vm_tests::selftest;

/// The contexts the peer serves: file name and name of the context.
const CONTEXTS: [(&str, &str); 3] = [
    ("echo", ""),
    ("stuck", ",name=stuck"),
    ("host", ",name=host"),
];

#[test]
fn the_drivers_self_test_passes() -> Result<()> {
    let Some(assets) = Assets::for_test(&[Image::Bare])? else {
        return Ok(());
    };
    let dir = TestDir::new()?;
    let peer = assets.binaries().path("selftest-peer")?;
    let mut peer = Command::new("selftest-peer", peer, dir.path())
        .arg(dir.path())
        .spawn_ready()?;
    let mut builder = Vm::builder(&assets, Image::Bare);
    for (file, name) in CONTEXTS {
        let socket = dir.join(format!("{file}.sock"));
        let socket = format!("{}{name}", socket.display());
        builder = builder.device_arg("--wayland-sock").device_arg(socket);
    }
    let vm = builder.start()?;
    let results = selftest::run(&vm, &[])?;
    println!("self-test of the driver: {} passed", results.passed);
    vm.stop()?;
    // It knows no signals: it ends by SIGTERM itself.
    peer.stop().map(drop)
}
