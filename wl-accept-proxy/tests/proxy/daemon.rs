//! The proxy as a daemon: reloading, activation, mistakes.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use integration_tests::{Command, TestDir};

use crate::device::FakeDevice;
use crate::harness::{BINARY, Proxy, wait_closed};

#[test]
fn reload_adds_removes_and_recolours() -> Result<()> {
    let mut proxy = Proxy::start(&[("work", "#0000ff"), ("old", "#00ff00")])?;
    let mut device = proxy.device()?;
    let mut claimed = proxy.connect("old")?;
    let record = device.record()?;
    let mut guest = device.claim(&record)?;
    let unclaimed = proxy.connect("old")?;
    device.record()?;
    let _client = proxy.connect("work")?;
    let before = device.record()?;

    proxy.reload(&[("work", "#ff0000"), ("new", "#ffffff")])?;
    ensure!(proxy.connect("old").is_err());
    device.pump_until("the removal", |device| device.table.len() == 1)?;
    wait_closed(&unclaimed)?;
    claimed.write_all(b"x")?;
    guest.read_exact(&mut [0])?;
    let _client = proxy.connect("work")?;
    let after = device.record()?;
    ensure!(after.vm_id == before.vm_id, "the same VM");
    ensure!(after.colour.to_string() == "#ff0000");
    let _client = proxy.connect("new")?;
    ensure!(device.record()?.vm_name.as_str() == "new");
    proxy.stop()
}

#[test]
fn a_bad_configuration_changes_nothing() -> Result<()> {
    let mut proxy = Proxy::start(&[("work", "#0000ff")])?;
    let mut device = proxy.device()?;
    for bad in ["", "not toml"] {
        proxy.reload_text(bad)?;
        let _client = proxy.connect("work")?;
        device.record()?;
    }
    ensure!(proxy.daemon.log_text().contains("not reloaded"));
    proxy.stop()
}

/// As a service manager would: the listening socket is descriptor 3.
#[test]
fn an_inherited_socket_is_served_and_left() -> Result<()> {
    let dir = TestDir::new()?;
    let path = dir.join("inherited");
    let listener = UnixListener::bind(&path)?;
    let control = dir.join("ctl");
    let text = format!(
        "[compositor]\ncontrol = {control:?}\nannounce = {:?}\n\
         [[vm]]\nname = \"work\"\ncolour = \"#0000ff\"\n",
        dir.join("announce")
    );
    let config = dir.write("config.toml", text)?;
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=work \
                  exec \"$0\" --config \"$1\"";
    let mut proxy = std::process::Command::new("sh")
        .args(["-c", script, BINARY])
        .arg(config)
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stderr(Stdio::null())
        .spawn()?;
    let served = (|| {
        let mut device = FakeDevice::bind(&control)?;
        device.open_accept()?;
        let _client = UnixStream::connect(&path)?;
        device.record()
    })();
    let pid = nix::unistd::Pid::from_raw(proxy.id().try_into()?);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
    let status = proxy.wait()?;
    ensure!(served?.vm_name.as_str() == "work");
    ensure!(status.success(), "{status}");
    ensure!(path.exists(), "the file is the service manager's");
    ensure!(!dir.join("announce").exists(), "this one is the proxy's");
    Ok(())
}

#[test]
fn mistakes_end_it_with_one_line() -> Result<()> {
    let head = "[compositor]\ncontrol = \"DIR/ctl\"\nannounce = \"DIR/announce\"\n";
    let vm = "[[vm]]\nname = \"a\"\ncolour = \"#000000\"\n";
    for (text, expected) in [
        (None, "config.toml"),
        (Some(format!("{head}{vm}")), "has no socket"),
        (
            Some(format!("{head}{vm}socket = \"DIR/none/s\"")),
            "No such file",
        ),
        (Some(vm.to_owned()), "compositor"),
    ] {
        let dir = TestDir::new()?;
        if let Some(text) = text {
            dir.write(
                "config.toml",
                text.replace("DIR", &dir.path().display().to_string()),
            )?;
        }
        let command = Command::new("wl-accept-proxy", BINARY, dir.path())
            .option("--config", dir.join("config.toml"));
        let (status, log) = command.run()?;
        ensure!(status.code() == Some(1), "{status}: {log}");
        let line = log.lines().find(|line| line.starts_with("error: "));
        let line = line.with_context(|| log.clone())?;
        ensure!(log.contains(expected), "{line}");
    }
    Ok(())
}
