//! Memory from the real memory server, asked for over its context.

use std::io;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result, ensure};
use integration_tests::{Binaries, Command, Daemon, TestDir};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use virtio_wl::memfd_request::MEMFD_CONTEXT;

use crate::setup::{Setup, send_all};

const MAX_BYTES: u64 = 1 << 20;

fn server(dir: &TestDir) -> Result<Daemon> {
    let socket = dir.join("memory.sock");
    let config = dir.write(
        "memory.toml",
        format!(
            "[[vm]]\nname = \"test\"\nsocket = \"{}\"\nmode = \"0600\"\nmax-bytes = {MAX_BYTES}\n",
            socket.display()
        ),
    )?;
    let binary = Binaries::beside_this_one()?.path("memfd-server")?;
    Command::new("memfd-server", binary, dir.path())
        .option("--config", config)
        .spawn_ready()
}

fn with_server() -> Result<(Setup, Daemon)> {
    let dir = TestDir::new()?;
    let daemon = server(&dir)?;
    let setup = Setup::with(dir, |command, dir| {
        let socket = dir.join("memory.sock");
        let named = format!("{},name={MEMFD_CONTEXT}", socket.display());
        command.option("--wayland-sock", named)
    })?;
    Ok((setup, daemon))
}

#[test]
fn it_is_sealed_and_counted() -> Result<()> {
    let (setup, _server) = with_server()?;
    let (channel, peer) = setup.connect()?;
    let memory = setup.device.allocate(5000)?;
    ensure!(memory.size() == 8192);
    memory.map()?.write(8000, b"to the end")?;
    send_all(&channel, b"m", &[memory.as_fd()])?;
    let (_, fds) = peer.receive_exact(1)?;
    let fd = fds.into_iter().next().context("a descriptor")?;
    let seals = SealFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GET_SEALS)?);
    ensure!(seals.contains(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW));

    let refused = setup.device.allocate(MAX_BYTES).expect_err("beyond");
    let errno = io::Error::from(refused).raw_os_error();
    ensure!(errno == Some(Errno::EDQUOT as i32), "{errno:?}");
    // The refusal has not disturbed anything.
    ensure!(setup.device.allocate(MAX_BYTES / 2)?.size() == MAX_BYTES / 2);
    Ok(())
}

#[test]
fn it_is_found_again_after_a_restart() -> Result<()> {
    let (setup, mut first) = with_server()?;
    setup.device.allocate(1)?;
    first.stop_cleanly()?;
    // Without a server the device serves by itself: whole pages, no quota of the server's.
    setup.device.allocate(2 * MAX_BYTES)?;
    let _second = server(&setup.dir)?;
    let refused = setup.device.allocate(2 * MAX_BYTES).expect_err("beyond");
    let errno = io::Error::from(refused).raw_os_error();
    ensure!(errno == Some(Errno::EDQUOT as i32), "{errno:?}");
    Ok(())
}
