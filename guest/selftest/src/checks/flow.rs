//! Peers that do not read, and VFDs that nobody reads.

use anyhow::{Result, ensure};
use guest_selftest::peer::{Order, pattern};
use nix::poll::PollFlags;

use super::signals::fill;
use super::{Context, Group, ensure_eq, ensure_errno};
use crate::device::MESSAGE;
use crate::tap;

pub(super) const GROUP: Group = Group::new(
    "flow",
    &[
        (
            "a VFD nobody reads stops no other, and keeps all",
            neglected,
        ),
        (
            "a peer that does not read makes EAGAIN, and no POLLOUT",
            stuck,
        ),
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

fn stuck(context: &Context) -> Result<()> {
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

fn stuck_closed(context: &Context) -> Result<()> {
    for _ in 0..10 {
        let vfd = context.stuck()?;
        fill(&vfd)?;
    }
    context.echo()?.echo(b"there is room")
}
