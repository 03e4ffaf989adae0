//! The real daemon under the embedded driver: what programs see of it.

mod common;

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

use common::{Daemon, PATIENCE, accept, recv_fds, send_fds};
use virtio_wl::host::control::{Client, List, QueueEntry, Queues};
use virtio_wl::{Channel, Device, DeviceAddress, MsgFlags, PipeDirection, Vfd};

fn open(daemon: &Daemon) -> Device {
    let address = format!("vhost-user:{}", daemon.path("device").display());
    let device = Device::open_address(&DeviceAddress::parse(address.as_ref()).unwrap()).unwrap();
    device.spawn_dispatcher().unwrap();
    device
}

fn send(channel: &Channel, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let n = channel
            .send(&[IoSlice::new(bytes)], &[], MsgFlags::empty())
            .unwrap();
        bytes = &bytes[n..];
    }
}

/// Receives exactly `len` bytes.
fn recv(channel: &Channel, len: usize) -> (Vec<u8>, Vec<Vfd>) {
    let (mut bytes, mut vfds) = (vec![0; len], Vec::new());
    let mut at = 0;
    while at < len {
        let mut iov = [IoSliceMut::new(&mut bytes[at..])];
        match channel
            .recv(&mut iov, &mut vfds, MsgFlags::empty())
            .unwrap()
        {
            0 => panic!("it ended after {at} bytes"),
            n => at += n,
        }
    }
    (bytes, vfds)
}

fn queues(daemon: &Daemon) -> Vec<QueueEntry> {
    let mut control = Client::connect(&daemon.path("control")).unwrap();
    control.call(Queues {}, None, PATIENCE).unwrap().queues
}

#[test]
fn bytes_memory_and_pipes_go_both_ways() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let device = open(&daemon);
    let channel = device.connect("").unwrap();
    let mut peer = accept(&listener);

    let memory = device.allocate(5000).unwrap();
    let pipe = device.pipe(PipeDirection::Write).unwrap();
    let fds = [memory.as_fd(), pipe.as_fd()];
    channel
        .send(&[IoSlice::new(b"take these")], &fds, MsgFlags::empty())
        .unwrap();
    let (bytes, mut files) = recv_fds(&peer);
    assert_eq!((bytes.as_slice(), files.len()), (&b"take these"[..], 2));
    files[0].write_all_at(b"from the peer", 0).unwrap();
    let map = memory.map().unwrap();
    let mut seen = [0; 13];
    map.read(0, &mut seen).unwrap();
    assert_eq!(&seen, b"from the peer");
    send(&pipe, b"through the pipe");
    drop(pipe);
    let mut text = String::new();
    files[1].read_to_string(&mut text).unwrap();
    assert_eq!(text, "through the pipe");

    let (mut reader, writer) = std::io::pipe().unwrap();
    let keymap = common::memfd(3000, libc::F_SEAL_WRITE);
    send_fds(&peer, b"now you", &[keymap.as_raw_fd(), writer.as_raw_fd()]);
    drop(writer);
    let (bytes, vfds) = recv(&channel, 7);
    assert_eq!(&bytes, b"now you");
    let [Vfd::Memory(memory), Vfd::Stream(pipe)] = vfds.as_slice() else {
        panic!("{vfds:?}");
    };
    assert_eq!(memory.size(), 3000);
    send(pipe, b"clipboard");
    drop(vfds);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "clipboard");

    peer.write_all(b"bye").unwrap();
    drop(peer);
    assert_eq!(recv(&channel, 3).0, b"bye");
    let mut buf = [0; 1];
    let end = channel.recv(
        &mut [IoSliceMut::new(&mut buf)],
        &mut Vec::new(),
        MsgFlags::empty(),
    );
    assert_eq!(end.unwrap(), 0);
}

#[test]
fn a_round_trip_costs_one_kick_and_one_interrupt() {
    const ROUNDS: u64 = 500;
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl", "--control", "DIR/control"]);
    let listener = daemon.listen("wl");
    let device = open(&daemon);
    let channel = device.connect("").unwrap();
    let mut peer = accept(&listener);
    let echo = std::thread::spawn(move || {
        let mut buf = [0; 64];
        while peer.read_exact(&mut buf).is_ok() {
            peer.write_all(&buf).unwrap();
        }
    });
    let before = queues(&daemon);
    for _ in 0..ROUNDS {
        send(&channel, &[1; 64]);
        recv(&channel, 64);
    }
    let after = queues(&daemon);
    let [input, output] = [0, 1].map(|q| {
        let kicks = after[q].kicks - before[q].kicks;
        (kicks, after[q].interrupts - before[q].interrupts)
    });
    // Credit for what was read is a request of its own, but one of many messages.
    let most = ROUNDS + ROUNDS / 20;
    assert!(output.0 <= most, "{} kicks for {ROUNDS} sends", output.0);
    assert!(
        input.1 <= most,
        "{} interrupts for {ROUNDS} messages",
        input.1
    );
    assert!(
        input.0 <= ROUNDS / 20,
        "{} kicks for buffers given back",
        input.0
    );
    assert!(
        output.1 <= ROUNDS / 20,
        "{} interrupts for requests done",
        output.1
    );
    drop((channel, device));
    echo.join().unwrap();
}

#[test]
fn a_channel_that_nobody_reads_pauses_only_itself() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl", "--control", "DIR/control"]);
    let listener = daemon.listen("wl");
    let device = open(&daemon);
    let neglected = device.connect("").unwrap();
    let flood = accept(&listener);
    let lively = device.connect("").unwrap();
    let mut peer = accept(&listener);
    let writer = std::thread::spawn(move || {
        let data: Vec<u8> = (0..4_000_000_u32).map(|i| (i / 7) as u8).collect();
        (&flood).write_all(&data).unwrap();
        data
    });
    for round in 0..300_u32 {
        peer.write_all(&round.to_le_bytes()).unwrap();
        assert_eq!(recv(&lively, 4).0, round.to_le_bytes());
        send(&lively, b"ok");
        peer.read_exact(&mut [0; 2]).unwrap();
    }
    assert!(!writer.is_finished(), "the flood is held back");
    let (got, _) = recv(&neglected, 4_000_000);
    assert!(got == writer.join().unwrap(), "and arrives whole");
}

#[test]
fn a_thousand_mixed_messages_arrive_byte_and_descriptor_exact() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let device = open(&daemon);
    let channel = device.connect("").unwrap();
    let peer = accept(&listener);
    let files: Vec<_> = (0..28).map(|_| common::memfd(4096, 0)).collect();
    let raw: Vec<_> = files.iter().map(AsRawFd::as_raw_fd).collect();
    let message = |i: usize| {
        let len = 1 + (i * 37) % 9000;
        let fds = if i.is_multiple_of(10) { 28 } else { i % 4 };
        (vec![i as u8; len], fds)
    };
    let sender = std::thread::spawn({
        let peer = peer.try_clone().unwrap();
        move || {
            for i in 0..1000 {
                let (bytes, fds) = message(i);
                send_fds(&peer, &bytes[..1], &raw[..fds]);
                (&peer).write_all(&bytes[1..]).unwrap();
            }
            drop(files);
        }
    });
    let (mut expected_fds, mut got_fds) = (0, 0);
    for i in 0..1000 {
        let (expected, fds) = message(i);
        expected_fds += fds;
        let (bytes, first) = recv(&channel, 1);
        assert_eq!(bytes, expected[..1], "message {i}");
        got_fds += first.len();
        // A stream socket may deliver descriptors with earlier bytes, never with later.
        assert!(
            got_fds >= expected_fds,
            "message {i}: {got_fds} of {expected_fds}"
        );
        if expected.len() > 1 {
            let (bytes, rest) = recv(&channel, expected.len() - 1);
            assert!(bytes == expected[1..], "message {i}");
            got_fds += rest.len();
        }
    }
    assert_eq!(got_fds, expected_fds);
    sender.join().unwrap();
}

#[test]
fn all_of_a_guest_is_gone_with_its_process() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl", "--control", "DIR/control"]);
    let listener = daemon.listen("wl");
    let device = open(&daemon);
    let channel = device.connect("").unwrap();
    let mut peer: UnixStream = accept(&listener);
    let memory = device.allocate(1 << 20).unwrap();
    let mut control = Client::connect(&daemon.path("control")).unwrap();
    let mut totals = || {
        control
            .call(List::default(), None, PATIENCE)
            .unwrap()
            .totals
    };
    assert_eq!((totals().vfds, totals().memory_bytes), (2, 1 << 20));
    drop((channel, memory, device));
    assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    // The device serves one frontend: when it serves the next, this one is gone.
    let next = open(&daemon);
    let _channel = next.connect("").unwrap();
    assert_eq!((totals().vfds, totals().memory_bytes), (1, 0));
}
