//! The library before libc without `LD_PRELOAD`.

use anyhow::Result;
use integration_tests::wire::Client;

use crate::libwayland::Libwayland;
use crate::server::{Library, Server, Settings};

#[test]
fn a_server_that_was_linked_with_the_library_serves() -> Result<()> {
    let server = Server::start(Settings {
        library: Library::Linked,
        ..Settings::of(Libwayland::Installed)
    })?;
    let mut remote = server.client()?;
    let mut local = Client::start(&server.local_socket()?)?;
    remote.sync()?;
    local.sync()?;
    drop((remote, local));
    server.stop()
}
