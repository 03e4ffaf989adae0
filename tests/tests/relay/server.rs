//! A compositor that knows nothing but security contexts, and says who comes.

use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, ensure};
use integration_tests::{Command, Talk};

use crate::setup::Relayed;

/// Starts a server that says by which context its clients come.
pub(crate) fn start_server(relayed: &Relayed, args: &[&str]) -> Result<Talk> {
    let binary = relayed.chain.binaries().path("test-context-server")?;
    let mut server = Command::new("server", binary, relayed.chain.log_dir())
        .option("--socket", relayed.socket())
        .args(args)
        .talk()?;
    ensure!(server.line()? == "ready", "the server did not start");
    Ok(server)
}

/// A connection of an app VM.
pub(crate) fn connect(relayed: &Relayed, vm: &str) -> Result<UnixStream> {
    let socket = UnixStream::connect(relayed.chain.paths().wayland(vm)).context("accept proxy")?;
    let deadline = integration_tests::wait::STEP;
    socket.set_read_timeout(Some(deadline)).context("timeout")?;
    Ok(socket)
}

/// The instance id by which the next client of `vm` came.
pub(crate) fn came(server: &mut Talk, vm: &str) -> Result<u32> {
    // The relay's own, which asks, has none.
    let line = loop {
        let line = server.line()?;
        if line != "client" {
            break line;
        }
    };
    let id = line.strip_prefix(&format!("client virtio-wl {vm} "));
    let id = id.with_context(|| format!("client of {vm}: {line:?}"))?;
    id.parse().with_context(|| format!("instance id {id:?}"))
}
