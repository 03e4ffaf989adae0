//! Round trips over a `Channel`: both virtqueues and the device process in between.

use std::io::{IoSlice, IoSliceMut};

use anyhow::{Context, Result, ensure};
use virtio_wl::{Channel, Device, MsgFlags};

use crate::{
    Rounds,
    timing::{self, Summary},
};

pub(crate) fn measure(name: &str, bytes: usize, rounds: &Rounds) -> Result<Summary> {
    let device = Device::open().context("cannot open the device")?;
    let channel = device
        .connect(name)
        .with_context(|| format!("cannot connect to the context {name:?}"))?;
    let sent = timing::payload(bytes);
    let mut received = vec![0; sent.len()];
    timing::time(rounds, || round_trip(&channel, &sent, &mut received))
}

/// Sends bytes to an echo and takes them back.
pub(crate) fn round_trip(channel: &Channel, sent: &[u8], received: &mut [u8]) -> Result<()> {
    let mut rest = sent;
    while !rest.is_empty() {
        let taken = channel.send(&[IoSlice::new(rest)], &[], MsgFlags::empty())?;
        rest = &rest[taken..];
    }
    let mut vfds = Vec::new();
    let mut filled = 0;
    while filled < received.len() {
        let buffers = &mut [IoSliceMut::new(&mut received[filled..])];
        match channel.recv(buffers, &mut vfds, MsgFlags::empty())? {
            0 => anyhow::bail!("the echo hung up"),
            taken => filled += taken,
        }
    }
    ensure!(sent == received, "the echo changed the bytes");
    ensure!(vfds.is_empty(), "the echo sent a descriptor");
    Ok(())
}
