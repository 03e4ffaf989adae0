//! The device begins anew: the guest's driver leaves and comes back, the VM pauses, the device is taken
//! out and put in again.
//!
//! QEMU 11.1 remembers what memory it has told a device of. Of mappings that end while the device is
//! stopped it tells nothing, and when the guest resets the device it forgets them by itself; at the
//! next start it looks for them, and crashes. So the device lets go of everything before.

use std::path::Path;

use anyhow::{Result, ensure};
use integration_tests::dir::TestDir;
use integration_tests::process::{Command, Daemon};
use integration_tests::vm::{Assets, Image, Vm};
use serde_json::{Value, json};
use vm_tests::selftest;

/// Memory that nobody else sees, which the device keeps mapped for the next of its size as long as
/// there is other memory.
const MEMORY: &str = "memory: stays";

/// A program of the host, ready.
fn peer(assets: &Assets, program: &str, args: &[&str], dir: &Path) -> Result<Daemon> {
    let binary = assets.binaries().path(program)?;
    let name = format!("{program}-{}", args.first().unwrap_or(&""));
    let command = Command::new(name, binary, dir);
    let args = args
        .iter()
        .map(|arg| arg.replace("DIR", &dir.to_string_lossy()));
    command.args(args).spawn_ready()
}

/// `--wayland-sock`: a file in `dir`, and what follows its name.
fn context(dir: &TestDir, socket: &str) -> String {
    format!("{}/{socket}", dir.path().display())
}

#[test]
fn a_driver_that_has_used_memory_leaves_and_comes_back() -> Result<()> {
    let Some(assets) = Assets::for_test(&[Image::Bare])? else {
        return Ok(());
    };
    let dir = TestDir::new()?;
    let mut peer = peer(&assets, "selftest-peer", &["DIR"], dir.path())?;
    let vm = Vm::builder(&assets, Image::Bare)
        .device_arg("--wayland-sock")
        .device_arg(context(&dir, "echo.sock"))
        .start()?;
    selftest::run(&vm, &[MEMORY])?;
    for _ in 0..2 {
        selftest::run(&vm, &["rebind: a device bound again"])?;
    }
    vm.stop()?;
    peer.stop().map(drop)
}

#[test]
fn connections_and_memory_outlive_a_pause_and_end_with_the_device() -> Result<()> {
    let Some(assets) = Assets::for_test(&[Image::Bare])? else {
        return Ok(());
    };
    let dir = TestDir::new()?;
    let mut peers = [
        peer(&assets, "bench-peers", &["echo", "DIR/echo"], dir.path())?,
        peer(
            &assets,
            "bench-peers",
            &["traffic", "DIR/traffic"],
            dir.path(),
        )?,
    ];
    let mut vm = Vm::builder(&assets, Image::Bare)
        .device_arg("--wayland-sock")
        .device_arg(context(&dir, "echo"))
        .device_arg("--wayland-sock")
        .device_arg(context(&dir, "traffic,name=traffic"))
        .start()?;
    let program = vm.command(["bench-peers", "guest"]).root().start()?;
    let step = |step: Value| -> Result<()> {
        program.input(format!("{step}\n"))?;
        program.line().map(drop)
    };
    step(json!({ "live": 20 }))?;
    // What is closed now may be unmapped only after the pause.
    step(json!({ "live": 4 }))?;
    for command in ["stop", "cont"] {
        vm.monitor().execute(command, json!({}))?;
    }
    step(json!({ "echo": 10 }))?;
    step(json!({ "live": 8 }))?;
    let list = vm.device()?.ctl(&["list"])?;
    // Two connections, and the memory.
    ensure!(list["totals"]["vfds"] == 2 + 8, "{list}");

    vm.monitor().unplug_wl()?;
    program.input(format!("{}\n", json!({ "echo": 1 })))?;
    let ended = program.wait()?;
    ensure!(!ended.success(), "{ended:?} without a device");
    // The same process serves the next device.
    let socket = vm.device()?.socket();
    vm.monitor().plug_wl(&socket)?;
    selftest::run(&vm, &["--wait", MEMORY])?;
    vm.stop()?;
    peers.iter_mut().try_for_each(|peer| peer.stop().map(drop))
}
