//! Servers that want to know which VM a client is of.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use integration_tests::wire::Client;

use crate::server::{OTHER_VM, Server, Settings, VM};

crate::on_each_libwayland! {
    the_server_is_told_which_vm_a_client_is_of,
}

/// What a server says of a client that it was told something of.
const LABELLED: &str = "labelled virtio-wl ";

/// Name and number of the VM of each client that has one, in order.
fn labelled(server: &mut Server) -> Result<Vec<(String, u32)>> {
    let log = server.process().log_text();
    let labels = log.lines().filter_map(|line| line.strip_prefix(LABELLED));
    labels
        .map(|label| {
            let (name, number) = label.split_once(' ').context("a label")?;
            Ok((name.to_owned(), number.parse()?))
        })
        .collect()
}

fn the_server_is_told_which_vm_a_client_is_of(base: Settings) -> Result<()> {
    let mut server = Server::start(Settings {
        contexts: true,
        ..base
    })?;
    let other_socket = server.chain.paths().wayland(OTHER_VM);
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.client()?);
        clients.push(Client::start(&other_socket)?);
        clients.push(Client::start(&server.local_socket()?)?);
    }
    let labels = labelled(&mut server)?;
    let names: Vec<_> = labels.iter().map(|(name, _)| name.as_str()).collect();
    ensure!(
        names == [VM, OTHER_VM, VM, OTHER_VM, VM, OTHER_VM],
        "VMs of the clients: {names:?}"
    );
    // A VM has one number, and no two have the same.
    let vms: BTreeSet<_> = labels.iter().collect();
    let numbers: BTreeSet<_> = labels.iter().map(|(_, number)| number).collect();
    ensure!((vms.len(), numbers.len()) == (2, 2), "VMs: {vms:?}");
    for client in &mut clients {
        client.sync()?;
    }
    drop(clients);
    server.stop()
}
