//! Clients that go at any moment.

use anyhow::{Result, ensure};
use integration_tests::wire::Client;

use crate::server::{Server, Settings};

crate::on_each_libwayland! {
    a_client_that_goes_with_requests_on_the_way_disturbs_nobody,
    a_client_that_goes_inside_of_a_request_disturbs_nobody,
    a_client_that_never_reads_costs_itself_only,
    a_client_that_goes_while_it_is_sent_to_disturbs_nobody,
}

/// wl_seat.get_keyboard
const GET_KEYBOARD: u16 = 1;

/// Requests that are answered with far more than what is on the way can hold.
const MANY: usize = 20_000;

fn a_client_that_goes_with_requests_on_the_way_disturbs_nobody(base: Settings) -> Result<()> {
    let server = Server::start(base)?;
    let mut neighbour = server.client()?;
    for _ in 0..20 {
        let mut client = Client::connect(&server.vm_socket())?;
        client.greet()?;
        let syncs: Vec<u8> = (3..500)
            .flat_map(|id| Client::encode(1, 0, &[id]))
            .collect();
        client.send(&syncs, &[])?;
    }
    neighbour.sync()?;
    server.stop()
}

fn a_client_that_goes_inside_of_a_request_disturbs_nobody(base: Settings) -> Result<()> {
    let server = Server::start(base)?;
    let mut neighbour = server.client()?;
    for len in 1..12 {
        let mut client = server.client()?;
        let request = Client::encode(1, 0, &[99]);
        client.send(&request[..len], &[])?;
        drop(client);
        neighbour.sync()?;
    }
    server.stop()
}

fn a_client_that_never_reads_costs_itself_only(base: Settings) -> Result<()> {
    let mut server = Server::start(Settings {
        keymaps: 20,
        ..base
    })?;
    let mut neighbour = server.client()?;
    let mut client = server.client()?;
    let seat = client.bind("wl_seat", 5)?;
    // Each is answered by 20 events with a descriptor each; none is ever read.
    let mut sent = 0;
    while sent < MANY {
        let keyboards: Vec<u8> = (0..50)
            .flat_map(|_| {
                let id = client.new_id();
                Client::encode(seat, GET_KEYBOARD, &[id])
            })
            .collect();
        // The server has given it up, or what was sent waits for a server that waits for it.
        if client.try_send(&keyboards).is_err() {
            break;
        }
        sent += 50;
        neighbour.sync()?;
    }
    ensure!(!server.process().has_ended()?, "the server has ended");
    drop(client);
    neighbour.sync()?;
    server.stop()
}

fn a_client_that_goes_while_it_is_sent_to_disturbs_nobody(base: Settings) -> Result<()> {
    let server = Server::start(Settings {
        keymaps: 100,
        ..base
    })?;
    let mut neighbour = server.client()?;
    for _ in 0..10 {
        let mut client = server.client()?;
        let seat = client.bind("wl_seat", 5)?;
        let keyboard = client.new_id();
        client.request(seat, GET_KEYBOARD, &[keyboard], &[])?;
        // One of a hundred keymaps has been seen, the others are on the way.
        client.event()?;
        drop(client);
        neighbour.sync()?;
    }
    server.stop()
}
