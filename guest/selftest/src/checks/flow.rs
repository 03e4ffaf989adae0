//! Peers that do not read, and VFDs that nobody reads.

use anyhow::{Result, ensure};
use guest_selftest::peer::{Order, pattern};
use nix::errno::Errno;
use nix::poll::PollFlags;

use super::signals::fill;
use super::{Context, Group, STUCK_PEER, ensure_eq, ensure_errno};
use crate::device::MESSAGE;
use crate::features::Feature;
use crate::{tap, waiting};

pub(super) const GROUP: Group = Group::new(
    "flow",
    &[
        (
            "a VFD nobody reads stops no other, and keeps all",
            neglected,
        ),
        ("what waits for a peer that does not read is bounded", stuck),
        (
            "after a stuck peer is closed its room is free",
            stuck_closed,
        ),
    ],
);

/// More than the driver, the device and the sockets between them hold for one VFD.
const FLOOD: usize = 4 << 20;

fn neglected(context: &Context) -> Result<()> {
    let flood = context.host()?;
    flood.send(&Order::Flood { bytes: FLOOD }.to_bytes())?;
    ensure_eq!(flood.recv_exactly(1, 0)?.bytes.as_slice(), b".");
    let other = context.echo()?;
    for _ in 0..100 {
        other.echo(b"beside the flood")?;
    }
    let mut at = 0;
    while at < FLOOD {
        let part = flood.recv_soon(64 * 1024)?;
        ensure!(!part.bytes.is_empty(), "end of stream after {at} bytes");
        for byte in part.bytes {
            ensure!(byte == pattern(at), "byte {at} is {byte}");
            at += 1;
        }
    }
    Ok(())
}

/// No more than this waits for a peer anywhere, bytes: the device drops connections at 1 MiB.
const STUCK: usize = 1 << 20;

/// The bound of a device, and what the socket to the peer holds.
const DROPPED: usize = 4 << 20;

fn stuck(context: &Context) -> Result<()> {
    if !context.has(Feature::Credit) {
        return dropped(context);
    }
    let vfd = context.stuck()?;
    let taken = fill(&vfd)?;
    tap::diagnostic(&format!("{taken} bytes wait for a peer that does not read"));
    ensure!(taken > 0 && taken <= STUCK, "{taken} bytes taken");
    ensure_errno!(vfd.send(&[0; MESSAGE]), EAGAIN);
    ensure_eq!(vfd.poll(PollFlags::POLLOUT)?, PollFlags::empty());
    let other = context.echo()?;
    ensure_eq!(other.poll(PollFlags::POLLOUT)?, PollFlags::POLLOUT);
    other.echo(b"others go on")
}

/// A device that must answer at once takes everything, until it drops the connection.
fn dropped(context: &Context) -> Result<()> {
    let vfd = context.open()?.create(STUCK_PEER)?;
    let mut taken = 0;
    let error = loop {
        match vfd.send(&[0; MESSAGE]) {
            Ok(()) => taken += MESSAGE,
            Err(error) => break error,
        }
        ensure!(taken <= DROPPED, "{taken} bytes taken");
    };
    tap::diagnostic(&format!(
        "{taken} bytes were taken for a peer that does not read"
    ));
    ensure_eq!(error, Errno::ENODEV);
    waiting::event(&vfd, PollFlags::POLLHUP)?;
    context.echo()?.echo(b"others go on")
}

fn stuck_closed(context: &Context) -> Result<()> {
    for _ in 0..10 {
        let vfd = context.stuck()?;
        fill(&vfd)?;
    }
    context.echo()?.echo(b"there is room")
}
