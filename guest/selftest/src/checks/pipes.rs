//! Pipes, whose other end goes to a peer.

use std::os::fd::AsFd;

use anyhow::{Result, ensure};
use guest_selftest::peer::Order;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use super::passing::{only, order_host};
use super::{Context, Group, ensure_eq, ensure_errno};
use crate::device::{Kind, PAGE, Vfd};
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
    ensure_eq!(writer.status_flags()? & OFlag::O_ACCMODE, OFlag::O_WRONLY);
    ensure_eq!(writer.write(b"backwards")?, 9);
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
    let memory = context.memory(PAGE)?;
    echo.send_fds(b"p", &[writer.as_fd()])?;
    ensure_errno!(writer.send_fds(b"x", &[memory.as_fd()]), EINVAL);
    Ok(())
}

/// What the host writes.
const PIPED: &[u8] = b"through the pipe";

fn host_pipe(context: &Context) -> Result<()> {
    let host = context.host()?;
    let reader = only(order_host(&host, Order::PipeRead, 1)?)?;
    ensure_eq!(reader.status_flags()? & OFlag::O_ACCMODE, OFlag::O_RDONLY);
    ensure_eq!(read_all(&reader)?.as_slice(), PIPED);
    Ok(())
}

fn host_writer(context: &Context) -> Result<()> {
    let host = context.host()?;
    let writer = only(order_host(&host, Order::PipeWrite, 1)?)?;
    ensure_eq!(writer.write(b"clipboard")?, 9);
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
    ensure!(back.write(b"a long way")? == 10);
    ensure_eq!(host.recv_exactly(10, 0)?.bytes.as_slice(), b"a long way");
    Ok(())
}
