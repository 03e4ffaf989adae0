//! The other end hangs up.

use std::os::fd::AsFd;
use std::thread;

use anyhow::{Result, anyhow, ensure};
use nix::errno::Errno;
use nix::poll::{PollFlags, PollTimeout};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::{Context, Group, ensure_eq, ensure_errno};
use crate::waiting;

pub(super) const GROUP: Group = Group::new(
    "end",
    &[
        ("poll says POLLHUP, and no POLLIN", hang_up),
        ("what was sent before it can be read", data_first),
        ("SEND fails and is no signal", send_after),
        ("wakes every reader and every poller", wakes_everyone),
        ("is an edge to epoll, once", epoll_edge),
    ],
);

fn hang_up(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    vfd.send(b"quit")?;
    let all = PollFlags::POLLIN | PollFlags::POLLPRI;
    ensure_eq!(waiting::event(&vfd, all)?, PollFlags::POLLHUP);
    for _ in 0..3 {
        let end = vfd.recv(10)?;
        ensure!(end.bytes.is_empty() && end.fds.is_empty(), "{end:?}");
        ensure!(vfd.read(10)?.is_empty());
    }
    vfd.set_nonblocking(true)?;
    ensure!(vfd.recv(10)?.bytes.is_empty());
    Ok(())
}

fn data_first(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    vfd.send(b"last words")?;
    waiting::readable(&vfd)?;
    vfd.send(b"quit")?;
    waiting::until("POLLHUP", || {
        Ok(vfd.poll(PollFlags::POLLIN)?.contains(PollFlags::POLLHUP))
    })?;
    ensure_eq!(
        vfd.poll(PollFlags::POLLIN)?,
        PollFlags::POLLIN | PollFlags::POLLHUP
    );
    ensure_eq!(vfd.recv(100)?.bytes.as_slice(), b"last words");
    ensure_eq!(vfd.poll(PollFlags::POLLIN)?, PollFlags::POLLHUP);
    ensure!(vfd.recv(100)?.bytes.is_empty());
    Ok(())
}

fn send_after(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    vfd.send(b"quit")?;
    waiting::event(&vfd, PollFlags::POLLHUP)?;
    for _ in 0..3 {
        let result = vfd.send(b"x");
        ensure!(
            matches!(result, Err(Errno::ENODEV | Errno::EINVAL)),
            "{result:?}"
        );
    }
    // No SIGPIPE either: we are still here.
    ensure!(vfd.write(b"x").is_err());
    Ok(())
}

fn wakes_everyone(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    thread::scope(|scope| {
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(|| vfd.recv(10))).collect();
        let pollers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| waiting::event(&vfd, PollFlags::POLLIN)))
            .collect();
        vfd.send(b"quit")?;
        for reader in readers {
            let end = reader.join().map_err(|_| anyhow!("a reader panicked"))??;
            ensure!(end.bytes.is_empty(), "{end:?}");
        }
        for poller in pollers {
            let found = poller.join().map_err(|_| anyhow!("a poller panicked"))??;
            ensure_eq!(found, PollFlags::POLLHUP);
        }
        Ok(())
    })
}

fn epoll_edge(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
    epoll.add(vfd.as_fd(), EpollEvent::new(interest, 7))?;
    let mut events = [EpollEvent::empty(); 2];
    ensure_eq!(epoll.wait(&mut events, PollTimeout::ZERO)?, 0);
    vfd.send(b"x")?;
    waiting::readable(&epoll.0)?;
    ensure_eq!(epoll.wait(&mut events, PollTimeout::ZERO)?, 1);
    ensure_eq!(
        (events[0].data(), events[0].events()),
        (7, EpollFlags::EPOLLIN)
    );
    // The byte is still there, but that is no news.
    ensure_eq!(epoll.wait(&mut events, PollTimeout::ZERO)?, 0);
    vfd.recv(10)?;
    vfd.send(b"quit")?;
    waiting::readable(&epoll.0)?;
    ensure_eq!(epoll.wait(&mut events, PollTimeout::ZERO)?, 1);
    ensure_eq!(events[0].events(), EpollFlags::EPOLLHUP);
    // The plain device has nothing to wait for.
    let device = context.open()?;
    ensure_errno!(
        epoll.add(device.as_fd(), EpollEvent::new(interest, 0)),
        EPERM
    );
    Ok(())
}
