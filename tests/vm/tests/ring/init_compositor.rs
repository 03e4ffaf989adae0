//! The compositor under the eyes of its guest's init: what it may, what it is given, and what happens
//! when it is killed. In the debug image, which is the other one with a shell.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, ensure};
use integration_tests::vm::{Assets, Image, STEP, Vm, VmChainBuilder};
use integration_tests::wait::{self, Deadline};
use vm_tests::scene::{self, PERSONAL, READ_LINE, STAY};

fn debug() -> Result<Option<VmChainBuilder>> {
    let assets = Assets::for_test(&[Image::CompositorDebug, Image::App])?;
    Ok(assets.map(|assets| VmChainBuilder::new(assets).debug()))
}

/// What a shell of root's says.
fn sh(vm: &Vm, script: &str) -> Result<String> {
    let output = vm.command(["sh", "-c", script]).root().start()?.success()?;
    Ok(output.stdout.trim_end().to_owned())
}

fn compositor_pid(vm: &Vm) -> Result<String> {
    sh(vm, "busybox pidof virtio-wl-compositor")
}

/// Lines of the console with `text` in them.
fn console_lines(vm: &Vm, text: &str) -> Result<usize> {
    let log = std::fs::read(vm.paths().console_log()).context("console")?;
    let log = String::from_utf8_lossy(&log);
    Ok(log.lines().filter(|line| line.contains(text)).count())
}

/// Nothing was handed over twice: a second card is refused, a second grab fails.
fn check_devices_given_once(vm: &Vm) -> Result<()> {
    for complaint in ["only one display adapter", "others may see"] {
        let lines = console_lines(vm, complaint)?;
        ensure!(lines == 0, "'{complaint}' {lines} times");
    }
    Ok(())
}

#[test]
fn the_compositor_may_nothing_that_it_does_not_need() -> Result<()> {
    let Some(builder) = debug()? else {
        return Ok(());
    };
    let chain = builder.start()?;
    let vm = chain.compositor()?;
    let pid = compositor_pid(vm)?;

    let status = sh(vm, &format!("busybox cat /proc/{pid}/status"))?;
    let status: BTreeMap<_, _> = status
        .lines()
        .filter_map(|line| line.split_once(":\t"))
        .collect();
    let nobody = "900\t900\t900\t900";
    let nothing = "0000000000000000";
    for (name, wanted) in [
        ("Uid", nobody),
        ("Gid", nobody),
        ("CapInh", nothing),
        ("CapPrm", nothing),
        ("CapEff", nothing),
        ("CapBnd", nothing),
        ("CapAmb", nothing),
        ("NoNewPrivs", "1"),
    ] {
        let found = status.get(name).copied().unwrap_or_default();
        ensure!(found == wanted, "{name} of the compositor: {found}");
    }

    let interfaces = sh(
        vm,
        "echo /sys/class/net/*; busybox cat /sys/class/net/lo/flags",
    )?;
    ensure!(interfaces == "/sys/class/net/lo\n0x8", "{interfaces}");
    let modules = sh(vm, "busybox cat /proc/sys/kernel/modules_disabled")?;
    ensure!(modules == "1", "modules_disabled: {modules}");

    let mounts = sh(vm, "busybox cat /proc/mounts")?;
    for line in mounts.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let (target, options) = (fields[1], fields[3]);
        let has = |option| options.split(',').any(|word| word == option);
        let wanted = if target == "/" { "ro" } else { "noexec" };
        ensure!(has(wanted), "not {wanted}: {line}");
    }
    ensure!(
        sh(vm, "echo > /new").is_err(),
        "root can write to the root file system"
    );

    shell_of_a_person(vm)?;
    check_devices_given_once(vm)?;
    chain.stop()
}

/// The shell on the second serial port is root's.
fn shell_of_a_person(vm: &Vm) -> Result<()> {
    let mut port = UnixStream::connect(vm.paths().shell()).context("shell")?;
    port.set_read_timeout(Some(STEP))?;
    port.write_all(b"echo uid-$(busybox id -u)-\n")?;
    // The terminal echoes what was typed, so that is not to look like the answer.
    for line in BufReader::new(port).split(b'\n') {
        if String::from_utf8_lossy(&line.context("the shell does not answer")?).contains("uid-0-") {
            return Ok(());
        }
    }
    anyhow::bail!("the shell has ended")
}

#[test]
fn a_killed_compositor_comes_back_and_its_devices_with_it() -> Result<()> {
    let Some(builder) = debug()? else {
        return Ok(());
    };
    let chain = builder.app(PERSONAL.0, PERSONAL.1).start()?;
    let vm = chain.compositor()?;
    let app = chain.app(PERSONAL.0)?;

    for round in ["first", "second"] {
        let (program, _) = scene::terminal(&chain, PERSONAL.0, round, "true", STAY)?;
        let (ready, ends) = (vm.ready_count(), vm.service_end_count());
        sh(vm, "kill -9 $(busybox pidof virtio-wl-compositor)")?;
        vm.wait_service_end(ends)?;
        let ended = program.wait()?;
        ensure!(
            !ended.success(),
            "a terminal without its compositor: {ended:?}"
        );
        vm.wait_ready_again(ready)?;
    }
    ensure!(app.service_end_count() == 0, "sommelier has ended");

    // Taken from its driver and given back, a keyboard is another one of the same name.
    let devices = console_lines(vm, "input device node=")?;
    sh(
        vm,
        "cd /sys/bus/virtio/drivers/virtio_input && for device in virtio*; do
            echo $device > unbind; echo $device > bind; done",
    )?;
    let again = wait::until("the devices to be used again", Deadline::step(), || {
        Ok((console_lines(vm, "input device node=")? >= devices + 2).then_some(()))
    });
    again.with_context(|| vm.console_tail())?;

    let (_, window) = scene::terminal(&chain, PERSONAL.0, "after", "true", READ_LINE)?;
    let screen = chain.screen()?;
    screen.click(window.content()?)?;
    screen.type_text("alive\n")?;
    screen.ctl().wait_title(PERSONAL.0, "read: alive")?;
    check_devices_given_once(vm)?;
    chain.stop()
}
