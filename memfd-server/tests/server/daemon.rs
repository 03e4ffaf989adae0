//! The server as a daemon: starting, reloading, activation, mistakes.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use crate::common::{BINARY, Client, Server};
use anyhow::{Context as _, Result, ensure};
use integration_tests::{Command, TestDir};
use virtio_wl::memfd_request::MemfdStatus;

#[test]
fn reload_adds_removes_and_changes() -> Result<()> {
    let mut server = Server::start(&[("work", "max-bytes = 4096"), ("old", "")])?;
    let mut work = server.connect("work")?;
    let _held = work.get(4096)?;
    let mut old = server.connect("old")?;
    old.get(1)?;
    let text = server.config(&[("work", "max-bytes = 8192"), ("new", "")]);
    server.reload(&text)?;
    // The connection lives on, with the new limit.
    let _more = work.get(4096)?;
    work.refused(1, MemfdStatus::QUOTA)?;
    server.connect("new")?.get(1)?;
    ensure!(server.connect("old").is_err());
    ensure!(old.send(1).is_err() || old.reply()?.is_none(), "closed");
    server.stop()
}

#[test]
fn a_bad_configuration_changes_nothing() -> Result<()> {
    let mut server = Server::start(&[("work", "")])?;
    for bad in ["", "[[vm]]\nname = \"a b\"", "not toml"] {
        server.reload(bad)?;
        server.connect("work")?.get(1)?;
    }
    ensure!(server.daemon.log_text().contains("not reloaded"));
    server.stop()
}

#[test]
fn a_socket_can_move() -> Result<()> {
    let mut server = Server::start(&[("work", "")])?;
    let text = server
        .config(&[("work", "")])
        .replace("run/work", "run/moved");
    server.reload(&text)?;
    ensure!(server.connect("work").is_err());
    server.connect("moved")?.get(1)?;
    server.stop()
}

/// As a service manager would: the listening socket is descriptor 3.
#[test]
fn an_inherited_socket_is_served_and_left() -> Result<()> {
    let dir = TestDir::new()?;
    let path = dir.join("inherited");
    let listener = UnixListener::bind(&path)?;
    let config = dir.write("config.toml", "[[vm]]\nname = \"work\"\n")?;
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=work \
                  exec \"$0\" --config \"$1\"";
    let mut server = std::process::Command::new("sh")
        .args(["-c", script, BINARY])
        .arg(config)
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .spawn()?;
    let result = Client::connect(&path).and_then(|mut client| client.get(1));
    let pid = nix::unistd::Pid::from_raw(server.id().try_into()?);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
    let status = server.wait()?;
    result?;
    ensure!(status.success(), "{status}");
    ensure!(path.exists(), "the file is the service manager's");
    Ok(())
}

fn complaint(config: Option<&str>) -> Result<String> {
    let dir = TestDir::new()?;
    let path = dir.join("config.toml");
    if let Some(text) = config {
        dir.write(
            "config.toml",
            text.replace("DIR", &dir.path().display().to_string()),
        )?;
        dir.write("file", "")?;
    }
    let command = Command::new("memfd-server", BINARY, dir.path()).option("--config", path);
    let (status, log) = command.run()?;
    ensure!(status.code() == Some(1), "{status}: {log}");
    let line = log.lines().find(|line| line.starts_with("error: "));
    Ok(line.with_context(|| log.clone())?.to_owned())
}

#[test]
fn mistakes_end_it_with_one_line() -> Result<()> {
    ensure!(complaint(None)?.contains("config.toml"));
    ensure!(complaint(Some("[[vm]]\nname = \"a\""))?.contains("has no socket"));
    let no_socket = "[[vm]]\nname = \"a\"\nsocket = \"DIR/file\"";
    ensure!(complaint(Some(no_socket))?.contains("is not a socket"));
    let no_dir = "[[vm]]\nname = \"a\"\nsocket = \"DIR/missing/s\"";
    ensure!(complaint(Some(no_dir))?.contains("No such file"));
    Ok(())
}

#[test]
fn a_second_server_does_not_take_the_socket() -> Result<()> {
    let server = Server::start(&[("work", "")])?;
    let config = server.dir.join("config.toml");
    let command = Command::new("second", BINARY, server.dir.path()).option("--config", config);
    let (status, log) = command.run()?;
    ensure!(status.code() == Some(1) && log.contains("in use"), "{log}");
    server.connect("work")?.get(1)?;
    server.stop()
}
