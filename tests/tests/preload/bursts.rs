//! More at once than is on its way to the device at once: what a socket would hold.

use anyhow::{Result, ensure};

use crate::server::{Server, Settings};
use crate::wire::{Client, DISPLAY};

crate::on_each_libwayland! {
    a_hundred_kilobytes_of_events_at_once_close_no_client,
    events_of_several_clients_do_not_meet,
}

/// wl_display.get_registry
const GET_REGISTRY: u16 = 1;

/// Bytes of events to ask for.
const BYTES: usize = 100 * 1024;

/// Waits for all that was asked for; how many bytes of it were events of registries.
fn globals(client: &mut Client) -> Result<usize> {
    let events = client.sync()?;
    let of_registries = events.iter().filter(|event| event.object != DISPLAY);
    Ok(of_registries.map(|event| 8 + event.body.len()).sum())
}

/// Asks for the globals so often that the answers are that long, all at once; how often.
fn ask(client: &mut Client) -> Result<usize> {
    let registry = client.new_id();
    client.request(DISPLAY, GET_REGISTRY, &[registry], &[])?;
    let one = globals(client)?;
    let count = BYTES.div_ceil(one);
    let requests: Vec<u8> = (0..count)
        .flat_map(|_| Client::encode(DISPLAY, GET_REGISTRY, &[client.new_id()]))
        .collect();
    client.send(&requests, &[])?;
    Ok(one * count)
}

fn a_hundred_kilobytes_of_events_at_once_close_no_client(base: Settings) -> Result<()> {
    let server = Server::start(base)?;
    let mut client = server.client()?;
    for _ in 0..5 {
        let expected = ask(&mut client)?;
        let got = globals(&mut client)?;
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
    let expected = clients.iter_mut().map(ask).collect::<Result<Vec<_>>>()?;
    for (client, expected) in clients.iter_mut().zip(expected) {
        let got = globals(client)?;
        ensure!(got == expected, "{got} bytes of {expected}");
    }
    drop(clients);
    server.stop()
}
