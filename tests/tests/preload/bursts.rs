//! More at once than is on its way to the device at once: what a socket would hold.

use anyhow::{Result, ensure};

use crate::server::{Server, Settings};

crate::on_each_libwayland! {
    a_hundred_kilobytes_of_events_at_once_close_no_client,
    events_of_several_clients_do_not_meet,
}

/// Bytes of events to ask for.
const BYTES: usize = 100 * 1024;

fn a_hundred_kilobytes_of_events_at_once_close_no_client(base: Settings) -> Result<()> {
    let server = Server::start(base)?;
    let mut client = server.client()?;
    for _ in 0..5 {
        let expected = client.ask_for_events(BYTES)?;
        let got = client.events_of_registries()?;
        ensure!(got == expected, "{got} bytes of {expected}");
    }
    server.stop()
}

fn events_of_several_clients_do_not_meet(base: Settings) -> Result<()> {
    let server = Server::start(base)?;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(server.client()?);
    }
    let asked = clients
        .iter_mut()
        .map(|client| client.ask_for_events(BYTES));
    let expected = asked.collect::<Result<Vec<_>>>()?;
    for (client, expected) in clients.iter_mut().zip(expected) {
        let got = client.events_of_registries()?;
        ensure!(got == expected, "{got} bytes of {expected}");
    }
    drop(clients);
    server.stop()
}
