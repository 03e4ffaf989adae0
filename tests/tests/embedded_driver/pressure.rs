//! A peer that does not read, a reader that does not come.

use std::{
    io::{self, IoSlice, IoSliceMut, Read as _, Write as _},
    os::fd::{AsFd as _, AsRawFd as _},
    thread,
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::wait::{self, Deadline};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{MsgFlags as SocketFlags, send as socket_send},
};
use virtio_wl::MsgFlags;

use crate::bench::{Bench, recv, send, send_all};

#[test]
fn a_peer_that_does_not_read_stalls_nobody_else() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (stuck, mut stuck_host) = bench.connect(&device)?;
    let (channel, mut host) = bench.connect(&device)?;
    // Far more than any queue on the way holds.
    let mut sent = 0_u64;
    let error = loop {
        ensure!(sent < 64 << 20, "there is no bound");
        match stuck.send(&[IoSlice::new(&[1; 3968])], &[], MsgFlags::DONTWAIT) {
            Ok(count) => sent += count as u64,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    send_all(&channel, b"still here")?;
    let mut bytes = [0; 10];
    host.read_exact(&mut bytes)?;
    assert_eq!(&bytes, b"still here");
    host.write_all(b"me too")?;
    assert_eq!(recv(&channel, 64)?.0, b"me too");

    // It was late, not gone: nothing is lost, and there is room again.
    let mut received = vec![0; usize::try_from(sent)?];
    let reader = thread::spawn(move || {
        let read = stuck_host.read_exact(&mut received);
        read.map(|()| (received, stuck_host))
    });
    let more = send(&stuck, b"more", &[])?;
    let (received, mut stuck_host) = reader.join().expect("reader")?;
    assert!(received.iter().all(|&byte| byte == 1));
    let mut bytes = vec![0; more];
    stuck_host.read_exact(&mut bytes)?;
    assert_eq!(bytes, b"more");
    Ok(())
}

#[test]
fn a_slow_peer_slows_its_sender_and_loses_nothing() -> Result<()> {
    const TOTAL: usize = 8 << 20;
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (channel, mut host) = bench.connect(&device)?;
    let slow = thread::spawn(move || -> io::Result<u64> {
        let mut sum = 0;
        let mut bytes = [0; 1000];
        for _ in 0..TOTAL / bytes.len() {
            host.read_exact(&mut bytes)?;
            sum += bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
            thread::yield_now();
        }
        Ok(sum)
    });
    let sent: Vec<u8> = (0..TOTAL / 1000 * 1000).map(|n| (n / 7) as u8).collect();
    send_all(&channel, &sent)?;
    let sum: u64 = sent.iter().map(|&byte| u64::from(byte)).sum();
    assert_eq!(slow.join().expect("peer")?, sum);
    Ok(())
}

#[test]
fn a_reader_that_does_not_come_stalls_nobody_else() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (neglected, neglected_host) = bench.connect(&device)?;
    let (channel, mut host) = bench.connect(&device)?;
    // As much as goes in, in messages of a few bytes and of many, while the guest dispatches.
    let mut sent = 0_usize;
    let mut idle = 0;
    while idle < 20 {
        let size = if sent.is_multiple_of(2) { 3001 } else { 4000 };
        let flags = SocketFlags::MSG_DONTWAIT | SocketFlags::MSG_NOSIGNAL;
        match socket_send(neglected_host.as_raw_fd(), &vec![5; size], flags) {
            Ok(count) => {
                sent += count;
                idle = 0;
            }
            Err(nix::Error::EAGAIN) => {
                let events = device.event_fd().context("event fd")?;
                let mut fds = [
                    PollFd::new(events, PollFlags::POLLIN),
                    PollFd::new(neglected_host.as_fd(), PollFlags::POLLOUT),
                ];
                poll(&mut fds, PollTimeout::from(20_u8))?;
                idle += 1;
            }
            Err(errno) => return Err(errno.into()),
        }
        device.dispatch()?;
        ensure!(sent < 64 << 20, "there is no bound");
    }

    for round in 0..100_u8 {
        send_all(&channel, &[round; 100])?;
        let mut bytes = [0; 100];
        host.read_exact(&mut bytes)?;
        host.write_all(&bytes)?;
        wait_for(&device, &channel)?;
        assert_eq!(recv(&channel, 100)?.0, [round; 100]);
    }

    // Nothing of the neglected one is lost.
    let mut received = 0;
    while received < sent {
        wait_for(&device, &neglected)?;
        let mut bytes = vec![0; 100_000];
        received += neglected.recv(
            &mut [IoSliceMut::new(&mut bytes)],
            &mut Vec::new(),
            MsgFlags::DONTWAIT,
        )?;
    }
    assert_eq!(received, sent);
    Ok(())
}

/// Waits until a channel is readable, with a deadline.
fn wait_for(device: &virtio_wl::Device, channel: &virtio_wl::Channel) -> Result<()> {
    let events = device.event_fd().context("event fd")?;
    loop {
        let ready = wait::readable(&[channel.as_fd(), events], Deadline::step())?;
        if ready[0] {
            return Ok(());
        }
        device.dispatch()?;
    }
}
