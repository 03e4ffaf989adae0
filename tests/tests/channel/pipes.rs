//! Pipes: made by the guest, received, passed on, and ordinary ones carried over.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use virtio_wl::{Channel, PipeDirection, Vfd, VfdKind};

use crate::host::Peer;
use crate::setup::{Setup, pattern, receive, receive_exact, send_all};

/// More than any buffer on the way holds.
const TRANSFER: usize = 3 << 20;

fn only(fds: Vec<OwnedFd>) -> Result<File> {
    Ok(fds.into_iter().next().context("a descriptor")?.into())
}

fn only_stream(fds: Vec<Vfd>) -> Result<Channel> {
    match fds.into_iter().next() {
        Some(Vfd::Stream(channel)) => Ok(channel),
        other => anyhow::bail!("no stream but {other:?}"),
    }
}

fn read_to_end(channel: &Channel) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let (data, fds) = receive(channel, 4096)?;
        ensure!(fds.is_empty(), "descriptors from a pipe");
        if data.is_empty() {
            return Ok(all);
        }
        all.extend(data);
    }
}

/// Passes an end to the host, as its file.
fn pass(channel: &Channel, peer: &Peer, fd: impl std::os::fd::AsFd) -> Result<File> {
    send_all(channel, b"p", &[fd.as_fd()])?;
    only(peer.receive_exact(1)?.1)
}

#[test]
fn the_guest_reads() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let pipe = setup.device.pipe(PipeDirection::Read)?;
    ensure!(
        pipe.kind()
            == VfdKind::Pipe {
                read: true,
                write: false
            }
    );
    let mut writer = pass(&channel, &peer, &pipe)?;
    let expected = pattern(1, TRANSFER);
    thread::scope(|scope| {
        let sender = scope.spawn(|| writer.write_all(&expected).map(|()| drop(writer)));
        ensure!(read_to_end(&pipe)? == expected);
        sender.join().expect("no panic").context("writing")
    })
}

#[test]
fn the_guest_writes() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let pipe = setup.device.pipe(PipeDirection::Write)?;
    let mut reader = pass(&channel, &peer, &pipe)?;
    let expected = pattern(2, TRANSFER);
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        send_all(&pipe, &expected, &[])?;
        drop(pipe);
        let received = receiver.join().expect("no panic").context("reading")?;
        ensure!(received == expected, "{} bytes", received.len());
        Ok(())
    })
}

#[test]
fn an_ordinary_pipe_to_read_from() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let (reader, mut writer) = io::pipe()?;
    let mut far = pass(&channel, &peer, &reader)?;
    drop(reader);
    let expected = pattern(3, TRANSFER);
    thread::scope(|scope| {
        let sender = scope.spawn(|| writer.write_all(&expected).map(|()| drop(writer)));
        let mut all = Vec::new();
        far.read_to_end(&mut all)?;
        ensure!(all == expected, "{} bytes", all.len());
        sender.join().expect("no panic").context("writing")
    })
}

#[test]
fn an_ordinary_pipe_to_write_to() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let (mut reader, writer) = io::pipe()?;
    let mut far = pass(&channel, &peer, &writer)?;
    drop(writer);
    let expected = pattern(4, TRANSFER);
    thread::scope(|scope| {
        let sender = scope.spawn(|| far.write_all(&expected).map(|()| drop(far)));
        let mut all = Vec::new();
        reader.read_to_end(&mut all)?;
        ensure!(all == expected, "{} bytes", all.len());
        sender.join().expect("no panic").context("writing")
    })
}

#[test]
fn received_pipes_are_passed_on() -> Result<()> {
    let setup = Setup::new()?;
    let (from, from_peer) = setup.connect()?;
    let (to, to_peer) = setup.connect()?;
    let (reader, writer) = io::pipe()?;
    from_peer.send_all(b"rw", &[reader.as_fd(), writer.as_fd()])?;
    drop((reader, writer));
    let (_, fds) = receive_exact(&from, 2)?;
    ensure!(fds.len() == 2);
    let borrowed: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
    send_all(&to, b"rw", &borrowed)?;
    let (_, files) = to_peer.receive_exact(2)?;
    let [reader, writer] = <[_; 2]>::try_from(files).expect("two");
    // The guest's own ends stay in no one's way.
    drop(fds);
    let (mut reader, mut writer) = (File::from(reader), File::from(writer));
    writer.write_all(b"straight through")?;
    drop(writer);
    let mut all = String::new();
    reader.read_to_string(&mut all)?;
    ensure!(all == "straight through");
    Ok(())
}

#[test]
fn a_received_pipe_is_read_and_its_end_seen() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let (reader, mut writer) = io::pipe()?;
    peer.send_all(b"r", &[reader.as_fd()])?;
    drop(reader);
    let pipe = only_stream(receive_exact(&channel, 1)?.1)?;
    writer.write_all(b"hello")?;
    ensure!(receive_exact(&pipe, 5)?.0 == b"hello");
    drop(writer);
    ensure!(read_to_end(&pipe)?.is_empty());
    Ok(())
}

#[test]
fn a_received_pipe_is_written_and_its_end_seen() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let (mut reader, writer) = io::pipe()?;
    peer.send_all(b"w", &[writer.as_fd()])?;
    drop(writer);
    let pipe = only_stream(receive_exact(&channel, 1)?.1)?;
    ensure!(
        pipe.kind()
            == VfdKind::Pipe {
                read: false,
                write: true
            }
    );
    send_all(&pipe, b"hello", &[])?;
    drop(pipe);
    let mut all = String::new();
    reader.read_to_string(&mut all)?;
    ensure!(all == "hello");
    Ok(())
}

#[test]
fn a_slow_reader_loses_nothing() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let (reader, mut writer) = io::pipe()?;
    let mut far = pass(&channel, &peer, &reader)?;
    drop(reader);
    let expected = pattern(5, TRANSFER);
    thread::scope(|scope| {
        let sender = scope.spawn(|| writer.write_all(&expected).map(|()| drop(writer)));
        // Nothing is read until another connection has been used for a while.
        let (other, other_peer) = setup.connect()?;
        for _ in 0..200 {
            send_all(&other, b"ping", &[])?;
            other_peer.receive_exact(4)?;
            other_peer.send_all(b"pong", &[])?;
            receive_exact(&other, 4)?;
        }
        let mut all = Vec::new();
        far.read_to_end(&mut all)?;
        ensure!(all == expected, "{} bytes of {TRANSFER}", all.len());
        sender.join().expect("no panic").context("writing")
    })
}
