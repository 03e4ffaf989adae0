//! What one client does wrong costs that client alone.

use std::io::{PipeReader, Read as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, ensure};
use integration_tests::wait::{self, Deadline};
use integration_tests::{scm, skip};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::server::{came, connect, start_server};
use crate::setup::{Relayed, staying, stepping};

/// Runs an attack of a client in `work` beside programs of both VMs; what it said of its end.
fn attack(name: &str, count: u32) -> Result<String> {
    let relayed = Relayed::ours()?;
    let chain = &relayed.chain;
    let (bad, good) = (chain.app("work"), chain.app("personal"));
    let expected = chain.paths().dir().join("expected.png");
    let neighbour = stepping(chain, good, &expected)?;
    let outcome = chain.attack((bad, good), neighbour, name, count)?;
    relayed.stop()?;
    Ok(outcome)
}

#[test]
fn a_client_that_never_reads_is_bounded() -> Result<()> {
    // More answers than all buffers on the way may hold.
    let outcome = attack("never-reads", 20_000_000)?;
    ensure!(
        outcome == "blocked" || outcome == "closed",
        "nothing bounded it: {outcome}"
    );
    Ok(())
}

#[test]
fn descriptors_without_end() -> Result<()> {
    attack("fd-flood", 20_000).map(drop)
}

#[test]
fn frames_without_end() -> Result<()> {
    attack("commit-flood", 50_000).map(drop)
}

#[test]
fn an_app_device_killed_costs_only_its_vm() -> Result<()> {
    let mut relayed = Relayed::ours()?;
    let expected = relayed.chain.paths().dir().join("expected.png");
    let mut bad = staying(&relayed, "work")?;
    let chain = &relayed.chain;
    let mut good = stepping(chain, chain.app("personal"), &expected)?;
    let device = relayed.chain.app_mut("work").daemon();
    device.context("running")?.kill()?;
    ensure!(
        !bad.wait()?.success(),
        "its program should have lost its connection"
    );
    good.say("next")?;
    ensure!(good.line()? == "frame 1", "the neighbour has stopped");
    good.process().stop()?;
    relayed.chain.works(relayed.chain.app("personal"))?;
    let index = relayed
        .chain
        .apps()
        .iter()
        .position(|vm| vm.name() == "work");
    relayed
        .chain
        .start_app_device(index.context("an app VM")?)?;
    relayed.chain.works(relayed.chain.app("work"))?;
    relayed.stop()
}

/// Whether the last write end of a pipe is gone.
fn is_ended(reader: &PipeReader) -> Result<bool> {
    let mut fds = [PollFd::new(reader.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).context("poll")?;
    Ok(fds[0].any().unwrap_or(false))
}

#[test]
fn pipes_without_end_take_none_from_another_vm() -> Result<()> {
    let name = "pipes_without_end_take_none_from_another_vm";
    if !skip::has_programs(name, &["wl-copy", "wl-paste"]) {
        return Ok(());
    }
    /// Two messages' worth on each connection, as many as the compositor keeps waiting. All
    /// together are more than are carried for a device.
    const CONNECTIONS: usize = 7;
    const PIPES: usize = 28;
    let relayed = Relayed::ours()?;
    let chain = &relayed.chain;
    let mut readers = Vec::new();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = UnixStream::connect(chain.paths().wayland("work")).context("socket")?;
        for _ in 0..2 {
            let mut writers = Vec::new();
            for _ in 0..PIPES {
                let (reader, writer) = std::io::pipe().context("pipe")?;
                readers.push(reader);
                writers.push(writer);
            }
            let fds: Vec<_> = writers.iter().map(AsFd::as_fd).collect();
            // The start of a message.
            scm::send(&connection, &[1], &fds)?;
        }
        connections.push(connection);
    }
    let refused = || -> Result<usize> {
        let ended: Vec<_> = readers.iter().map(is_ended).collect::<Result<_>>()?;
        Ok(ended.into_iter().filter(|ended| *ended).count())
    };
    let too_many = readers.len() - 64;
    wait::until("most pipes to be refused", Deadline::step(), || {
        Ok((refused()? >= too_many).then_some(()))
    })?;
    let good = chain.app("personal");
    let copy = chain.sommelier(good, "copy")?;
    let script = "wl-copy text && echo copied && read end";
    let mut copy = copy.args(["sh", "-c", script]).talk()?;
    ensure!(copy.line()? == "copied", "nothing was copied");
    let (_, pasted) = chain.sommelier(good, "paste")?.arg("wl-paste").run()?;
    ensure!(pasted.lines().last() == Some("text"), "pasted: {pasted:?}");
    copy.process().stop()?;
    ensure!(refused()? < readers.len(), "the VM has pipes of its own");
    drop(connections);
    relayed.stop()
}

#[test]
fn a_relay_without_free_descriptors_goes_on_when_it_has_some() -> Result<()> {
    let mut relayed = Relayed::prepare()?;
    relayed.start_ours()?;
    relayed.start_relay_with_files(64)?;
    let chain = &relayed.chain;
    let relay = relayed.relay.as_ref().context("running")?;
    let socket = chain.paths().wayland("work");
    let mut connections = Vec::new();
    wait::until("the relay to have no descriptor", Deadline::step(), || {
        connections.push(UnixStream::connect(&socket).context("accept proxy")?);
        Ok(relay
            .log_text()
            .contains("Too many open files")
            .then_some(()))
    })?;
    drop(connections);
    chain.works(chain.app("personal"))?;
    chain.works(chain.app("work"))?;
    relayed.stop()
}

#[test]
fn connections_without_end_are_refused_and_keep_out_no_other_vm() -> Result<()> {
    /// As many as the manual page says.
    const MOST: usize = 128;
    let mut relayed = Relayed::prepare()?;
    let mut server = start_server(&relayed, &[])?;
    relayed.start_relay(&[])?;
    let mut connections = Vec::new();
    for _ in 0..MOST {
        connections.push(connect(&relayed, "work")?);
        came(&mut server, "work")?;
    }
    let mut refused = connect(&relayed, "work")?;
    ensure!(refused.read(&mut [0])? == 0, "one too many");
    let _other = connect(&relayed, "personal")?;
    came(&mut server, "personal")?;
    connections.clear();
    // They go in their own time.
    wait::until("room for a connection", Deadline::step(), || {
        let relay = relayed.relay.as_ref().context("running")?;
        let files = format!("/proc/{}/fd", relay.pid());
        let files = std::fs::read_dir(files).context("descriptors")?.count();
        Ok((files < MOST).then_some(()))
    })?;
    let _connection = connect(&relayed, "work")?;
    came(&mut server, "work")?;
    server.process().kill()?;
    relayed.stop()
}
