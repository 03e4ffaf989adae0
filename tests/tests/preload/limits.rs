//! What a server has too few of.

use anyhow::{Result, ensure};
use integration_tests::wait::{self, Deadline};
use integration_tests::wire::Client;

use crate::server::{Server, Settings};

crate::on_each_libwayland! {
    a_server_without_free_descriptors_serves_others_when_it_has_some_again,
    a_guest_without_free_vfd_ids_serves_others_when_it_has_some_again,
}

/// What the library says when it has to put a connection off.
const SHORTAGE: &str = "cannot accept a connection now";

/// Clients that connect at once, fewer than the host lets wait.
const BATCH: usize = 100;

/// Connects until connections are no longer served, and lets half of them go: then others must be.
fn exhaust(mut server: Server, most: usize) -> Result<()> {
    let mut served = Vec::new();
    let mut left_over = Vec::new();
    while left_over.is_empty() {
        ensure!(served.len() < most, "{most} clients were served");
        let mut batch = Vec::new();
        for _ in 0..BATCH {
            let mut client = Client::connect(&server.vm_socket())?;
            client.greet()?;
            batch.push(client);
        }
        wait::until("answers or a shortage", Deadline::step(), || {
            let short = server.process().log_text().contains(SHORTAGE);
            let answered = batch
                .iter()
                .map(Client::has_news)
                .collect::<Result<Vec<_>>>()?;
            Ok((short || answered.into_iter().all(|answered| answered)).then_some(()))
        })?;
        for mut client in batch {
            // libwayland closes a connection for which it has no second descriptor.
            if client.has_news()? && client.meet().is_ok() {
                served.push(client);
            } else {
                left_over.push(client);
            }
        }
    }
    // Those that are there are served still.
    for client in &mut served {
        client.sync()?;
    }
    served.truncate(served.len() / 2);
    drop(left_over);
    let mut client = wait::until("new clients to be served", Deadline::step(), || {
        Ok(server.client().ok())
    })?;
    client.sync()?;
    served
        .iter_mut()
        .try_for_each(|client| client.sync().map(drop))?;
    drop((client, served));
    server.stop()
}

fn a_server_without_free_descriptors_serves_others_when_it_has_some_again(
    base: Settings,
) -> Result<()> {
    const FILES: usize = 128;
    let server = Server::start(Settings {
        files: FILES,
        ..base
    })?;
    exhaust(server, FILES)
}

fn a_guest_without_free_vfd_ids_serves_others_when_it_has_some_again(base: Settings) -> Result<()> {
    /// One for each connection, from 1 up to this.
    const IDS: usize = 0x800;
    let server = Server::start(base)?;
    exhaust(server, IDS)
}
