//! Who is served.

use anyhow::{Result, ensure};
use integration_tests::wire::Client;

use crate::server::{Server, Settings};

crate::on_each_libwayland! {
    a_client_of_another_vm_and_a_local_one_are_served,
    a_hundred_connections_that_waited_for_the_server_are_served,
    the_server_may_start_before_the_host,
    a_restarted_accept_proxy_is_found_again,
    a_replaced_device_is_found_again,
}

fn a_client_of_another_vm_and_a_local_one_are_served(base: Settings) -> Result<()> {
    let mut server = Server::start(base)?;
    let mut remote = server.client()?;
    let mut local = Client::start(&server.local_socket()?)?;
    for _ in 0..3 {
        remote.sync()?;
        local.sync()?;
    }
    // Behind the first is the server itself, as far as its kernel knows; behind the second this test.
    let pids = server.client_pids();
    let own = server.process().pid();
    ensure!(
        pids == [own, own, std::process::id()],
        "processes of the clients: {pids:?}, of the server: {own}"
    );
    drop((remote, local));
    server.stop()
}

fn a_hundred_connections_that_waited_for_the_server_are_served(base: Settings) -> Result<()> {
    const CLIENTS: usize = 100;
    let mut server = Server::prepare(base)?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::connect(&server.vm_socket())?;
        client.greet()?;
        clients.push(client);
    }
    server.launch()?;
    for client in &mut clients {
        client.meet()?;
    }
    let served = server.client_pids().len();
    ensure!(served == CLIENTS + 1, "{served} clients");
    drop(clients);
    server.stop()
}

fn the_server_may_start_before_the_host(base: Settings) -> Result<()> {
    let mut server = Server::prepare(base)?;
    server.chain.accept_proxy.take();
    server.chain.compositor_device.take();
    server.launch()?;
    let mut local = Client::start(&server.local_socket()?)?;
    server.chain.start_compositor_device()?;
    server.chain.start_accept_proxy()?;
    let mut remote = server.client()?;
    remote.sync()?;
    local.sync()?;
    drop((remote, local));
    server.stop()
}

fn a_restarted_accept_proxy_is_found_again(base: Settings) -> Result<()> {
    let mut server = Server::start(base)?;
    let mut early = server.client()?;
    server.chain.accept_proxy.take();
    early.sync()?;
    server.chain.start_accept_proxy()?;
    let mut late = server.client()?;
    late.sync()?;
    early.sync()?;
    drop((early, late));
    server.stop()
}

fn a_replaced_device_is_found_again(base: Settings) -> Result<()> {
    let mut server = Server::start(base)?;
    let mut early = server.client()?;
    let mut local = Client::start(&server.local_socket()?)?;
    server.chain.compositor_device.take();
    early.wait_closed()?;
    local.sync()?;
    server.chain.start_compositor_device()?;
    let mut late = server.client()?;
    late.sync()?;
    local.sync()?;
    drop((local, late));
    server.stop()
}
