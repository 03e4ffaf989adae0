//! Whoever does not read harms nobody else.

use std::io::{self, IoSlice};

use anyhow::{Result, ensure};
use virtio_wl::{Channel, MsgFlags};

use crate::host::Peer;
use crate::setup::{Setup, pattern, receive_exact, send_all};

fn ping_pong(channel: &Channel, peer: &Peer) -> Result<()> {
    for number in 0..200_u8 {
        send_all(channel, &[number; 300], &[])?;
        ensure!(peer.receive_exact(300)?.0 == [number; 300]);
        peer.send_all(&[number; 400], &[])?;
        ensure!(receive_exact(channel, 400)?.0 == [number; 400]);
    }
    Ok(())
}

#[test]
fn a_guest_that_does_not_read_one_vfd() -> Result<()> {
    let setup = Setup::new()?;
    let (neglected, flooding) = setup.connect()?;
    let (used, used_peer) = setup.connect()?;
    // More messages than the `in` ring has buffers, of a size each.
    let stream = pattern(1, 4000 * 512);
    let mut sent = 0;
    let mut rounds = 0;
    while sent < stream.len() && rounds < 5 {
        match flooding.try_send(&stream[sent..stream.len().min(sent + 4000)]) {
            Ok(count) => sent += count,
            // The device has stopped reading it: look whether that lasts.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ping_pong(&used, &used_peer)?;
                rounds += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    ping_pong(&used, &used_peer)?;
    ensure!(sent > 256 * 1024, "{sent} bytes taken");
    let (received, _) = receive_exact(&neglected, sent)?;
    ensure!(received == stream[..sent], "not a byte may be missing");
    ping_pong(&neglected, &flooding)
}

#[test]
fn a_thousand_tiny_messages_nobody_reads() -> Result<()> {
    let setup = Setup::new()?;
    let (neglected, flooding) = setup.connect()?;
    let (used, used_peer) = setup.connect()?;
    for number in 0..1000_u32 {
        flooding.send_all(&number.to_le_bytes(), &[])?;
        if number % 100 == 0 {
            ping_pong(&used, &used_peer)?;
        }
    }
    ping_pong(&used, &used_peer)?;
    let (received, _) = receive_exact(&neglected, 4000)?;
    let expected: Vec<u8> = (0..1000_u32).flat_map(u32::to_le_bytes).collect();
    ensure!(received == expected);
    Ok(())
}

#[test]
fn a_host_peer_that_does_not_read() -> Result<()> {
    let setup = Setup::new()?;
    let (stuck, stuck_peer) = setup.connect()?;
    let (used, used_peer) = setup.connect()?;
    let stream = pattern(2, 8 << 20);
    let mut sent = 0;
    // Full is full: not only until the device has come round.
    for _ in 0..5 {
        loop {
            let chunk = &stream[sent..stream.len().min(sent + 3968)];
            ensure!(!chunk.is_empty(), "8 MiB went nowhere");
            match stuck.send(&[IoSlice::new(chunk)], &[], MsgFlags::DONTWAIT) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        ping_pong(&used, &used_peer)?;
    }
    ensure!(stuck_peer.receive_exact(sent)?.0 == stream[..sent]);
    ping_pong(&stuck, &stuck_peer)
}

#[test]
fn twenty_host_peers_that_do_not_read() -> Result<()> {
    let setup = Setup::new()?;
    let (used, used_peer) = setup.connect()?;
    let stuck = (0..20)
        .map(|_| setup.connect())
        .collect::<Result<Vec<_>>>()?;
    let chunk = [7; 3968];
    let mut sent = vec![0; stuck.len()];
    for _ in 0..3 {
        for ((channel, _), sent) in stuck.iter().zip(&mut sent) {
            loop {
                match channel.send(&[IoSlice::new(&chunk)], &[], MsgFlags::DONTWAIT) {
                    Ok(count) => *sent += count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        ping_pong(&used, &used_peer)?;
    }
    for ((_, peer), sent) in stuck.iter().zip(sent) {
        ensure!(peer.receive_exact(sent)?.0 == vec![7; sent]);
    }
    Ok(())
}
