//! The compositor hears which VM a connection comes from, by `wp_security_context_v1`.

use std::collections::BTreeSet;
use std::io::Read as _;

use anyhow::{Context as _, Result, ensure};

use crate::server::{came, connect, start_server};
use crate::setup::Relayed;

#[test]
fn each_connection_has_the_label_of_its_vm() -> Result<()> {
    let mut relayed = Relayed::prepare()?;
    let mut server = start_server(&relayed, &[])?;
    relayed.start_relay(&["--labels=require"])?;
    let mut connections = Vec::new();
    let mut ids = Vec::new();
    for vm in ["personal", "work", "work", "personal"] {
        connections.push(connect(&relayed, vm)?);
        ids.push(came(&mut server, vm)?);
    }
    ensure!(ids[0] == ids[3] && ids[1] == ids[2], "{ids:?}");
    ensure!(BTreeSet::from_iter(&ids).len() == 2, "{ids:?}");
    // It hears the same after its end, and the relay has to tell it again.
    server.process().kill()?;
    for connection in &mut connections {
        ensure!(connection.read(&mut [0])? == 0, "a connection lives on");
    }
    std::fs::remove_file(relayed.socket()).context("socket")?;
    let mut server = start_server(&relayed, &[])?;
    let _connection = connect(&relayed, "work")?;
    ensure!(came(&mut server, "work")? == ids[1], "another id");
    server.process().kill()?;
    relayed.stop()
}

#[test]
fn a_client_may_wait_for_a_compositor_to_be_told() -> Result<()> {
    let mut relayed = Relayed::prepare()?;
    relayed.start_relay(&["--labels=require"])?;
    let _connection = connect(&relayed, "work")?;
    let mut server = start_server(&relayed, &[])?;
    came(&mut server, "work")?;
    server.process().kill()?;
    relayed.stop()
}

#[test]
fn a_compositor_that_cannot_be_told_is_served_unless_labels_are_required() -> Result<()> {
    for how in ["--without", "--refuse"] {
        let mut relayed = Relayed::prepare()?;
        let mut server = start_server(&relayed, &[how])?;
        relayed.start_relay(&[])?;
        let _connection = connect(&relayed, "work")?;
        // The one that asks, and the one of the VM.
        ensure!(
            server.line()? == "client" && server.line()? == "client",
            "{how}"
        );
        let relay = relayed.relay.as_mut().context("running")?;
        let log = relay.log_text();
        ensure!(log.contains("not labelled"), "{log}");
        relay.stop_cleanly()?;

        relayed.start_relay(&["--labels=require"])?;
        let mut connection = connect(&relayed, "work")?;
        ensure!(connection.read(&mut [0])? == 0, "not refused");
        let log = relayed.relay.as_ref().context("running")?.log_text();
        ensure!(log.contains("cannot be labelled"), "{log}");
        server.process().kill()?;
        relayed.stop()?;
    }
    Ok(())
}

#[test]
fn without_labels_nothing_is_asked() -> Result<()> {
    let mut relayed = Relayed::prepare()?;
    relayed.start_ours()?;
    relayed.start_relay(&["--labels=off"])?;
    relayed.chain.works(relayed.chain.app("work"))?;
    relayed.stop()
}
