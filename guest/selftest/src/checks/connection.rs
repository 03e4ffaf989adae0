//! A connection: bytes there and back.

use std::os::fd::AsFd;

use anyhow::{Result, ensure};
use guest_selftest::peer::{Order, pattern};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::sys::mman::{MapFlags, ProtFlags};
use nix::unistd::{Whence, lseek};

use super::{Context, Group, ensure_eq, ensure_errno};
use crate::device::{Kind, MESSAGE, PAGE, Vfd};
use crate::mapping::Mapping;
use crate::sys;
use crate::waiting;

pub(super) const GROUP: Group = Group::new(
    "connection",
    &[
        ("may be read and written", access_mode),
        ("has no position and no memory", no_memory),
        ("idle, it can only be written", idle),
        ("SEND of nothing is nothing", empty_send),
        ("brings back what was sent", round_trip),
        ("RECV without room returns at once", recv_no_room),
        ("one RECV takes part of a message", partial),
        ("one RECV takes several messages", merged),
        ("read and write carry bytes", read_write),
        ("writes of any size arrive", large),
        ("SEND of what can never fit is EMSGSIZE", too_large),
        ("RECV of nothing is EAGAIN without blocking", would_block),
        ("FIONBIO is O_NONBLOCK", fionbio),
        ("bad addresses are EFAULT and lose nothing", bad_addresses),
        ("DMABUF_SYNC says nothing", dmabuf_sync),
        ("two connections are two", independent),
    ],
);

fn access_mode(context: &Context) -> Result<()> {
    for vfd in [context.echo()?, context.host()?] {
        ensure_eq!(vfd.status_flags()? & OFlag::O_ACCMODE, OFlag::O_RDWR);
    }
    Ok(())
}

fn no_memory(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    for whence in [Whence::SeekSet, Whence::SeekCur, Whence::SeekEnd] {
        ensure_errno!(lseek(&vfd, 0, whence), ESPIPE);
    }
    ensure_eq!(vfd.size()?, 0);
    ensure_errno!(Mapping::read_only(&vfd, PAGE), EACCES);
    let private = Mapping::new(&vfd, PAGE, 0, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE);
    ensure_errno!(private, EACCES);
    ensure_errno!(
        nix::sys::socket::listen(&vfd, nix::sys::socket::Backlog::new(1)?),
        ENOTSOCK
    );
    Ok(())
}

fn idle(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    let all = PollFlags::POLLIN | PollFlags::POLLOUT | PollFlags::POLLPRI;
    ensure_eq!(vfd.poll(all)?, PollFlags::POLLOUT);
    ensure_eq!(vfd.poll(PollFlags::POLLIN)?, PollFlags::empty());
    Ok(())
}

fn empty_send(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    vfd.send(b"")?;
    ensure_eq!(vfd.write(b"")?, 0);
    vfd.echo(b"and the stream goes on")
}

fn round_trip(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    vfd.send(b"ping!")?;
    ensure_eq!(waiting::readable(&vfd)?, PollFlags::POLLIN);
    let message = vfd.recv(100)?;
    ensure_eq!(message.bytes.as_slice(), b"ping!");
    ensure!(message.fds.is_empty(), "{:?}", message.fds);
    ensure_eq!(vfd.poll(PollFlags::POLLIN)?, PollFlags::empty());
    Ok(())
}

fn recv_no_room(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    let nothing = vfd.recv(0)?;
    ensure!(nothing.bytes.is_empty() && nothing.fds.is_empty());
    vfd.send(b"x")?;
    waiting::readable(&vfd)?;
    let nothing = vfd.recv(0)?;
    ensure!(nothing.bytes.is_empty() && nothing.fds.is_empty());
    ensure_eq!(vfd.recv(10)?.bytes.as_slice(), b"x");
    Ok(())
}

fn partial(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    vfd.send(b"abcdefgh")?;
    let mut all = Vec::new();
    for room in [1, 2, 3, 2] {
        all.extend(vfd.recv_exactly(room, 0)?.bytes);
    }
    ensure_eq!(all.as_slice(), b"abcdefgh");
    Ok(())
}

fn merged(context: &Context) -> Result<()> {
    // More than a message holds, so there are several; all are here once the host has hung up.
    const FLOOD: usize = 3 * PAGE;
    let vfd = context.host()?;
    vfd.send(&Order::Flood { bytes: FLOOD }.to_bytes())?;
    vfd.send(&Order::Close.to_bytes())?;
    waiting::until("POLLHUP", || {
        Ok(vfd.poll(PollFlags::POLLIN)?.contains(PollFlags::POLLHUP))
    })?;
    let all = vfd.recv(2 * FLOOD)?.bytes;
    ensure_eq!(all.len(), 1 + FLOOD);
    for (at, byte) in all.iter().skip(1).enumerate() {
        ensure!(*byte == pattern(at), "byte {at} is {byte}");
    }
    ensure!(vfd.recv(1)?.bytes.is_empty());
    Ok(())
}

fn read_write(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    ensure_eq!(vfd.write(b"by write")?, 8);
    let mut all = Vec::new();
    while all.len() < 8 {
        waiting::readable(&vfd)?;
        all.extend(vfd.read(3)?);
    }
    ensure_eq!(all.as_slice(), b"by write");
    Ok(())
}

fn large(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    for size in [MESSAGE, MESSAGE + 1, PAGE, 3 * PAGE + 5, 100_000] {
        let bytes: Vec<u8> = (0..size).map(guest_selftest::peer::pattern).collect();
        vfd.echo(&bytes)?;
    }
    Ok(())
}

fn too_large(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    for size in [1 << 20, 2 << 20, 64 << 20] {
        ensure_errno!(vfd.send(&vec![0; size]), EMSGSIZE);
    }
    vfd.echo(b"still there")
}

fn would_block(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    vfd.set_nonblocking(true)?;
    ensure_errno!(vfd.recv(10), EAGAIN);
    ensure_errno!(vfd.read(10), EAGAIN);
    vfd.send(b"x")?;
    waiting::readable(&vfd)?;
    ensure_eq!(vfd.recv(10)?.bytes.as_slice(), b"x");
    ensure_errno!(vfd.recv(10), EAGAIN);
    Ok(())
}

fn fionbio(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    sys::set_fionbio(vfd.as_fd(), true)?;
    ensure!(vfd.status_flags()?.contains(OFlag::O_NONBLOCK));
    ensure_errno!(vfd.recv(10), EAGAIN);
    Ok(())
}

fn bad_addresses(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    let fd = vfd.as_fd();
    let page = sys::read_only_page()?;
    ensure_errno!(sys::ioctl_at(fd, sys::SEND, 0), EFAULT);
    ensure_errno!(sys::ioctl_at(fd, sys::RECV, 0), EFAULT);
    ensure_errno!(sys::write_from(fd, 0, 8), EFAULT);
    vfd.send(b"kept")?;
    waiting::readable(&vfd)?;
    // The end of the page says how much room there is: none of it can be written.
    ensure_errno!(sys::read_into(fd, page.address(), 8), EFAULT);
    ensure_eq!(vfd.recv_exactly(4, 0)?.bytes.as_slice(), b"kept");
    Ok(())
}

fn dmabuf_sync(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    vfd.dmabuf_sync(1)?;
    ensure_errno!(sys::ioctl_at(vfd.as_fd(), sys::DMABUF_SYNC, 0), EFAULT);
    Ok(())
}

fn independent(context: &Context) -> Result<()> {
    let device = context.open()?;
    let vfds: Vec<Vfd> = (0..10)
        .map(|_| device.create(Kind::Context))
        .collect::<Result<_, Errno>>()?;
    drop(device);
    for (index, vfd) in vfds.iter().enumerate() {
        vfd.send(format!("connection {index}").as_bytes())?;
    }
    for (index, vfd) in vfds.iter().enumerate().rev() {
        let want = format!("connection {index}");
        ensure_eq!(
            vfd.recv_exactly(want.len(), 0)?.bytes.as_slice(),
            want.as_bytes()
        );
    }
    Ok(())
}
