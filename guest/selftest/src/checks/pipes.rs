//! Pipes, whose other end goes to a peer.

use std::os::fd::AsFd;

use anyhow::Result;
use guest_selftest::peer::Order;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use super::passing::{only, order_host};
use super::{Context, Group, ensure_eq, ensure_errno};
use crate::device::{Kind, Vfd};
use crate::features::Feature;
use crate::waiting;

pub(super) const GROUP: Group = Group::new(
    "pipe",
    &[
        ("ends have the access that was asked for", access_mode),
        ("written here, read where it was passed", written_here),
        ("read here, written where it was passed", read_here),
        ("its other end is passed once", passed_once),
        ("carries no descriptors", no_descriptors),
        ("of the host is read, and ends", host_pipe),
        ("of the host is written", host_writer),
        ("of the host is passed on", passed_on),
    ],
);

fn access_mode(context: &Context) -> Result<()> {
    let device = context.open()?;
    let reader = device.create(Kind::PipeRead)?;
    ensure_eq!(reader.status_flags()? & OFlag::O_ACCMODE, OFlag::O_RDONLY);
    ensure_errno!(reader.write(b"x"), EBADF);
    let writer = device.create(Kind::PipeWrite)?;
    ensure_eq!(writer.status_flags()? & OFlag::O_ACCMODE, OFlag::O_WRONLY);
    ensure_errno!(writer.read(1), EBADF);
    Ok(())
}

/// The way a received pipe is opened.
fn ensure_access(context: &Context, vfd: &Vfd, wanted: OFlag) -> Result<()> {
    let found = vfd.status_flags()? & OFlag::O_ACCMODE;
    // Without the feature nobody says what it can do, and known drivers open it so.
    let known = context.has(Feature::TransFlags);
    ensure_eq!(found, if known { wanted } else { OFlag::O_RDONLY });
    Ok(())
}

/// Writes to a received pipe; by SEND, which works however it is opened, where write(2) cannot.
fn put(context: &Context, vfd: &Vfd, bytes: &[u8]) -> Result<()> {
    if context.has(Feature::TransFlags) {
        ensure_eq!(vfd.write(bytes)?, bytes.len());
    } else {
        ensure_errno!(vfd.write(bytes), EBADF);
        vfd.send(bytes)?;
    }
    Ok(())
}

/// Reads to the end of a stream.
fn read_all(vfd: &Vfd) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        waiting::readable(vfd)?;
        let part = vfd.read(7)?;
        if part.is_empty() {
            return Ok(all);
        }
        all.extend(part);
    }
}

fn written_here(context: &Context) -> Result<()> {
    let echo = context.echo()?;
    let writer = context.open()?.create(Kind::PipeWrite)?;
    echo.send_fds(b"p", &[writer.as_fd()])?;
    let reader = only(echo.recv_exactly(1, 1)?)?;
    ensure_eq!(writer.write(b"through")?, 7);
    writer.send(b" and SEND")?;
    drop(writer);
    ensure_eq!(read_all(&reader)?.as_slice(), b"through and SEND");
    ensure_eq!(reader.poll(PollFlags::POLLIN)?, PollFlags::POLLHUP);
    Ok(())
}

fn read_here(context: &Context) -> Result<()> {
    let echo = context.echo()?;
    let reader = context.open()?.create(Kind::PipeRead)?;
    echo.send_fds(b"p", &[reader.as_fd()])?;
    let writer = only(echo.recv_exactly(1, 1)?)?;
    ensure_access(context, &writer, OFlag::O_WRONLY)?;
    put(context, &writer, b"backwards")?;
    drop(writer);
    ensure_eq!(read_all(&reader)?.as_slice(), b"backwards");
    Ok(())
}

fn passed_once(context: &Context) -> Result<()> {
    let echo = context.echo()?;
    let writer = context.open()?.create(Kind::PipeWrite)?;
    echo.send_fds(b"p", &[writer.as_fd()])?;
    ensure_errno!(echo.send_fds(b"p", &[writer.as_fd()]), EINVAL);
    echo.recv_exactly(1, 1)?;
    Ok(())
}

fn no_descriptors(context: &Context) -> Result<()> {
    let echo = context.echo()?;
    let writer = context.open()?.create(Kind::PipeWrite)?;
    let other = context.anything()?;
    echo.send_fds(b"p", &[writer.as_fd()])?;
    ensure_errno!(writer.send_fds(b"x", &[other.as_fd()]), EINVAL);
    Ok(())
}

/// What the host writes.
const PIPED: &[u8] = b"through the pipe";

fn host_pipe(context: &Context) -> Result<()> {
    let host = context.host()?;
    let reader = only(order_host(&host, Order::PipeRead, 1)?)?;
    ensure_access(context, &reader, OFlag::O_RDONLY)?;
    ensure_eq!(read_all(&reader)?.as_slice(), PIPED);
    Ok(())
}

fn host_writer(context: &Context) -> Result<()> {
    let host = context.host()?;
    let writer = only(order_host(&host, Order::PipeWrite, 1)?)?;
    put(context, &writer, b"clipboard")?;
    ensure_eq!(host.recv_exactly(9, 0)?.bytes.as_slice(), b"clipboard");
    Ok(())
}

fn passed_on(context: &Context) -> Result<()> {
    let host = context.host()?;
    let echo = context.echo()?;
    let writer = only(order_host(&host, Order::PipeWrite, 1)?)?;
    echo.send_fds(b"p", &[writer.as_fd()])?;
    drop(writer);
    let back = only(echo.recv_exactly(1, 1)?)?;
    put(context, &back, b"a long way")?;
    ensure_eq!(host.recv_exactly(10, 0)?.bytes.as_slice(), b"a long way");
    Ok(())
}
