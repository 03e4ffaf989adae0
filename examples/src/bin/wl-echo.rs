//! Sends a text, and memory that has it too, and prints what comes back: the other half of
//! `accept-loop.c`.
//!
//! ```text
//! VIRTIO_WL_DEVICE=vhost-user:/run/device.sock wl-echo hello
//! ```
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result, bail, ensure};
use virtio_wl::{Channel, Device, MsgFlags, Vfd};

fn main() -> Result<()> {
    let text = std::env::args().nth(1).context("usage: wl-echo TEXT")?;
    // $VIRTIO_WL_DEVICE, or /dev/wl0.
    let device = Device::open()?;
    let memory = device.allocate(text.len() as u64)?;
    memory.map()?.write(0, text.as_bytes())?;

    // The context without a name is the compositor's.
    let channel = device.connect("")?;
    let mut rest = text.as_bytes();
    let mut fds = vec![memory.as_fd()];
    while !rest.is_empty() {
        // All descriptors go with the first byte; long texts go in pieces.
        let sent = channel.send(&[IoSlice::new(rest)], &fds, MsgFlags::empty())?;
        rest = &rest[sent..];
        fds.clear();
    }
    println!("{}", receive(&channel, text.len())?);
    Ok(())
}

/// Receives the text, and compares it with what the memory that came along has.
fn receive(channel: &Channel, len: usize) -> Result<String> {
    let mut text = vec![0; len];
    let mut fds = Vec::new();
    let mut filled = 0;
    while filled < len {
        let room = IoSliceMut::new(&mut text[filled..]);
        // Waits, as MsgFlags::DONTWAIT is not set.
        match channel.recv(&mut [room], &mut fds, MsgFlags::empty())? {
            0 => bail!("the other side hung up after {filled} bytes"),
            count => filled += count,
        }
    }
    let [Vfd::Memory(memory)] = fds.as_slice() else {
        bail!("one memory was sent, {} descriptors came back", fds.len());
    };
    let mut shared = vec![0; len];
    memory.map()?.read(0, &mut shared)?;
    ensure!(shared == text, "the memory has something else");
    Ok(String::from_utf8(text)?)
}
