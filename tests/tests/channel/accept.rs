//! Connections that the host announces.

use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};

use anyhow::{Context as _, Result, ensure};
use integration_tests::TestDir;
use integration_tests::wait::{self, Deadline};
use nix::errno::Errno;
use virtio_wl::accept_record::{ACCEPT_CONTEXT, AcceptRecord, ConnectionName};
use virtio_wl::host::control::{Add, Client, Remove};
use virtio_wl::label::{Colour, VmId, VmName};
use virtio_wl::{Channel, Listener, Peer as Announced};

use crate::host::Peer;
use crate::setup::{Setup, receive_exact, send_all};

/// A host that announces, as the accept proxy does.
struct Announcer {
    setup: Setup,
    listener: Listener,
    control: Client,
    records: Peer,
}

impl Announcer {
    fn new() -> Result<Self> {
        let dir = TestDir::new()?;
        let sockets = UnixListener::bind(dir.join("announce.sock"))?;
        let setup = Setup::with(dir, |command, dir| {
            let announce = dir.join("announce.sock");
            let named = format!("{},name={ACCEPT_CONTEXT}", announce.display());
            command
                .option("--wayland-sock", named)
                .option("--control", dir.join("control.sock"))
        })?;
        let listener = setup.device.listen(ACCEPT_CONTEXT)?;
        let (records, _) = sockets.accept()?;
        let control = Client::connect(&setup.dir.join("control.sock"))?;
        Ok(Self {
            setup,
            listener,
            control,
            records: Peer(records),
        })
    }

    /// Adds a connection and announces it; its host end, and its name.
    fn announce(&mut self, number: u32) -> Result<(Peer, String)> {
        let (ours, theirs) = UnixStream::pair()?;
        let add = Add {
            name: "wl-conn-%d".to_owned(),
            path: None,
        };
        let added = self.control.call(add, Some(theirs.as_fd()), wait::STEP)?;
        let record = AcceptRecord {
            vm_id: VmId(number),
            colour: Colour::from_rgb(7, 8, 9),
            connection: ConnectionName::new(added.name.clone())?,
            vm_name: VmName::new(format!("vm{number}"))?,
        };
        self.records.send_all(&record.encode(), &[])?;
        Ok((Peer(ours), added.name))
    }

    /// The next connection, once the listener is readable.
    fn accept(&self) -> Result<(Channel, Announced)> {
        let deadline = Deadline::step();
        loop {
            wait::readable(&[self.listener.as_fd()], deadline)?;
            match self.listener.accept() {
                // Readable because of one that has gone since.
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                result => return result.context("accept"),
            }
        }
    }
}

#[test]
fn a_hundred_wait_and_each_wakes_once() -> Result<()> {
    let mut host = Announcer::new()?;
    let peers = (0..100)
        .map(|number| Ok(host.announce(number)?.0))
        .collect::<Result<Vec<_>>>()?;
    for (number, peer) in (0..100).zip(&peers) {
        let (channel, announced) = host.accept()?;
        ensure!(announced.vm_id == VmId(number));
        ensure!(announced.vm_name.as_str() == format!("vm{number}"));
        ensure!(announced.colour == Colour::from_rgb(7, 8, 9));
        send_all(&channel, b"hello", &[])?;
        ensure!(peer.receive_exact(5)?.0 == b"hello");
        peer.send_all(b"welcome", &[])?;
        ensure!(receive_exact(&channel, 7)?.0 == b"welcome");
    }
    let none = host.listener.accept().expect_err("nobody");
    ensure!(none.raw_os_error() == Some(Errno::EAGAIN as i32), "{none}");
    Ok(())
}

#[test]
fn those_that_have_gone_are_passed_over() -> Result<()> {
    let mut host = Announcer::new()?;
    let (_gone, name) = host.announce(1)?;
    host.control.call(Remove { name }, None, wait::STEP)?;
    let (_peer, _) = host.announce(2)?;
    ensure!(host.accept()?.1.vm_id == VmId(2));
    Ok(())
}

#[test]
fn the_announcer_leaves() -> Result<()> {
    let mut host = Announcer::new()?;
    let (_peer, _) = host.announce(1)?;
    host.records = Peer(UnixStream::pair()?.0);
    ensure!(host.accept()?.1.vm_id == VmId(1));
    let error = host.accept().expect_err("the end");
    let error = error.downcast_ref::<std::io::Error>().context("errno")?;
    ensure!(error.raw_os_error() == Some(Errno::ENOTCONN as i32));
    drop(host.setup);
    Ok(())
}
