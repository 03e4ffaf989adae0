//! Clients that do not behave cost themselves only.

use std::io::{ErrorKind, Read as _, Write as _};

use crate::common::Server;
use anyhow::{Context as _, Result, ensure};
use integration_tests::leak::DescriptorCount;
use integration_tests::wait::{self, Deadline};
use virtio_wl::memfd_request::{MemfdRequest, MemfdStatus, REQUEST_BYTES};

#[test]
fn garbage_is_answered_and_the_connection_goes_on() -> Result<()> {
    let server = Server::start(&[("work", "")])?;
    let mut work = server.connect("work")?;
    work.0.write_all(&[0xff; 3 * REQUEST_BYTES])?;
    for _ in 0..3 {
        let reply = work.reply()?.context("hung up")?;
        ensure!(reply.status == MemfdStatus::INVALID && reply.memory.is_none());
    }
    work.refused(0, MemfdStatus::INVALID)?;
    work.get(4096)?;
    server.stop()
}

#[test]
fn requests_cut_short_and_split_anywhere() -> Result<()> {
    let server = Server::start(&[("work", "")])?;
    let bytes = MemfdRequest {
        size: 4096,
        label: Default::default(),
    }
    .encode();
    for cut in 1..REQUEST_BYTES {
        let mut gone = server.connect("work")?;
        gone.0.write_all(&bytes[..cut])?;
        drop(gone);
        let mut slow = server.connect("work")?;
        slow.0.write_all(&bytes[..cut])?;
        slow.0.write_all(&bytes[cut..])?;
        let reply = slow.reply()?.context("hung up")?;
        ensure!(reply.status == MemfdStatus::OK, "cut at {cut}");
    }
    server.stop()
}

#[test]
fn a_flood_that_is_never_read_is_bounded_and_stops_nobody() -> Result<()> {
    let limits = "max-count = 100000\nmax-bytes = \"1 TiB\"\nmax-rate = 1000000";
    let server = Server::start(&[("bad", limits), ("good", "")])?;
    let before = DescriptorCount::take("memfd-server", server.daemon.pid())?;
    let bytes = MemfdRequest {
        size: 4096,
        label: Default::default(),
    }
    .encode();
    let mut flooders = Vec::new();
    for _ in 0..4 {
        let mut bad = server.connect("bad")?;
        bad.0.set_nonblocking(true)?;
        // Until both directions are full: the server does not read on.
        loop {
            match bad.0.write(&bytes) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        flooders.push(bad);
        server.connect("good")?.get(4096)?;
    }
    // Each holds its connection and at most one piece that waits to be sent.
    before.settle(2 * flooders.len())?;
    drop(flooders);
    before.settle(0)?;
    server.stop()
}

#[test]
fn a_vm_over_its_rate_is_paced_and_others_are_not() -> Result<()> {
    let server = Server::start(&[("fast", ""), ("slow", "max-rate = 2")])?;
    let mut slow = server.connect("slow")?;
    let mut second = server.connect("slow")?;
    // A burst of two, and two more that have to wait for their turn.
    for _ in 0..3 {
        slow.send(1)?;
    }
    second.send(1)?;
    let mut fast = server.connect("fast")?;
    for _ in 0..100 {
        fast.get(1)?;
    }
    for _ in 0..3 {
        let reply = slow.reply()?.context("hung up")?;
        ensure!(reply.status == MemfdStatus::OK, "paced, not refused");
    }
    ensure!(second.reply()?.context("hung up")?.status == MemfdStatus::OK);
    server.stop()
}

#[test]
fn connections_beyond_the_limit_are_closed() -> Result<()> {
    let server = Server::start(&[("work", "max-connections = 2"), ("home", "")])?;
    let mut one = server.connect("work")?;
    let mut two = server.connect("work")?;
    one.get(1)?;
    two.get(1)?;
    let mut three = server.connect("work")?;
    ensure!(three.reply()?.is_none(), "closed");
    server.connect("home")?.get(1)?;
    // Room again, once the server has seen the end of one.
    drop(two);
    wait::until("a connection to be taken", Deadline::step(), || {
        let mut next = server.connect("work")?;
        let _ = next.send(1);
        Ok(next.reply()?.map(drop))
    })?;
    one.get(1)?;
    server.stop()
}

#[test]
fn descriptors_that_come_along_are_closed() -> Result<()> {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use std::os::fd::AsRawFd as _;
    let server = Server::start(&[("work", "")])?;
    let before = DescriptorCount::take("memfd-server", server.daemon.pid())?;
    let mut work = server.connect("work")?;
    let (mut mine, theirs) = std::os::unix::net::UnixStream::pair()?;
    let bytes = [0xff; REQUEST_BYTES];
    let fds = [theirs.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    let data = [std::io::IoSlice::new(&bytes)];
    sendmsg::<()>(work.0.as_raw_fd(), &data, &rights, MsgFlags::empty(), None)?;
    drop(theirs);
    ensure!(work.reply()?.context("hung up")?.status == MemfdStatus::INVALID);
    ensure!(mine.read(&mut [0])? == 0, "nobody holds the other end");
    drop(work);
    before.settle(0)?;
    server.stop()
}

#[test]
fn a_thousand_connections_leave_nothing() -> Result<()> {
    let server = Server::start(&[("work", "max-rate = 1000000")])?;
    server.connect("work")?.get(1)?;
    let pid = server.daemon.pid();
    let before = DescriptorCount::take("memfd-server", pid)?;
    for _ in 0..1000 {
        server.connect("work")?.get(4096)?;
    }
    before.settle(0)?;
    server.stop()
}

#[test]
fn a_host_without_descriptors_serves_again_when_there_are_some() -> Result<()> {
    let server = Server::start_with(&[("bad", ""), ("good", "")], Some(24))?;
    // More than the process can hold: some wait in the backlog.
    let crowd: Vec<_> = (0..40)
        .map(|_| server.connect("bad"))
        .collect::<Result<_>>()?;
    let mut good = server.connect("good")?;
    good.send(4096)?;
    let out = || Ok(server.daemon.log_text().contains("resting").then_some(()));
    wait::until("descriptors to run out", Deadline::step(), out)?;
    drop(crowd);
    let reply = good.reply()?.context("hung up")?;
    ensure!(reply.status == MemfdStatus::OK);
    server.stop()
}
