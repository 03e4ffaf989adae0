//! Signals end every wait.

use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Result, anyhow, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::{Context, Group, ensure_eq};
use crate::device::{Kind, MESSAGE, Vfd};
use crate::sys;
use crate::tap;
use crate::waiting;

pub(super) const GROUP: Group = Group::new(
    "signal",
    &[
        ("interrupts RECV", recv),
        ("interrupts read", read),
        ("with SA_RESTART, RECV goes on", restart),
        ("interrupts poll", interrupts_poll),
        ("interrupts SEND to a peer that does not read", send),
        ("storms leave no half-made VFDs behind", storm),
    ],
);

const SIGNAL: Signal = Signal::SIGUSR1;

/// Signals the thread, again and again, until it ends: the first may come before it waits.
fn interrupt<T>(thread: JoinHandle<T>) -> Result<T> {
    waiting::until("end of an interrupted call", || {
        if thread.is_finished() {
            return Ok(true);
        }
        sys::signal_thread(thread.as_pthread_t(), SIGNAL)?;
        Ok(false)
    })?;
    thread.join().map_err(|_| anyhow!("the thread panicked"))
}

fn recv(context: &Context) -> Result<()> {
    sys::ignore_by_handler(SIGNAL, false)?;
    let vfd = context.echo()?;
    let other = vfd.duplicate()?;
    let result = interrupt(thread::spawn(move || other.recv(10).map(drop)))?;
    ensure_eq!(result, Err(Errno::EINTR));
    vfd.echo(b"goes on")
}

fn read(context: &Context) -> Result<()> {
    sys::ignore_by_handler(SIGNAL, false)?;
    let vfd = context.echo()?;
    let other = vfd.duplicate()?;
    let result = interrupt(thread::spawn(move || other.read(10)))?;
    ensure_eq!(result, Err(Errno::EINTR));
    vfd.echo(b"goes on")
}

fn restart(context: &Context) -> Result<()> {
    sys::ignore_by_handler(SIGNAL, true)?;
    let vfd = context.echo()?;
    let other = vfd.duplicate()?;
    let reader = thread::spawn(move || other.recv(10));
    // Many signals while it waits, or is about to.
    for _ in 0..20 {
        sys::signal_thread(reader.as_pthread_t(), SIGNAL)?;
        waiting::pause();
    }
    ensure!(!reader.is_finished(), "RECV ended");
    vfd.send(b"at last")?;
    let message = reader
        .join()
        .map_err(|_| anyhow!("the thread panicked"))??;
    ensure_eq!(message.bytes.as_slice(), b"at last");
    Ok(())
}

fn interrupts_poll(context: &Context) -> Result<()> {
    sys::ignore_by_handler(SIGNAL, false)?;
    let vfd = context.echo()?;
    let other = vfd.duplicate()?;
    let result = interrupt(thread::spawn(move || {
        let mut fds = [PollFd::new(
            std::os::fd::AsFd::as_fd(&other),
            PollFlags::POLLIN,
        )];
        poll(&mut fds, PollTimeout::NONE)
    }))?;
    ensure_eq!(result, Err(Errno::EINTR));
    Ok(())
}

/// SENDs until the driver takes no more.
pub(super) fn fill(vfd: &Vfd) -> Result<usize> {
    vfd.set_nonblocking(true)?;
    let mut taken = 0;
    // What the device has not looked at yet may make room once it has.
    loop {
        match vfd.send(&[0; MESSAGE]) {
            Ok(()) => taken += MESSAGE,
            Err(Errno::EAGAIN) => {
                let mut fds = [PollFd::new(
                    std::os::fd::AsFd::as_fd(vfd),
                    PollFlags::POLLOUT,
                )];
                if poll(&mut fds, SETTLED)? == 0 {
                    return Ok(taken);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Without room for so long, milliseconds, a peer is taken not to read.
const SETTLED: u16 = 1000;

fn send(context: &Context) -> Result<()> {
    sys::ignore_by_handler(SIGNAL, false)?;
    let vfd = context.stuck()?;
    fill(&vfd)?;
    vfd.set_nonblocking(false)?;
    let other = vfd.duplicate()?;
    let result = interrupt(thread::spawn(move || other.send(&[0; MESSAGE])))?;
    ensure_eq!(result, Err(Errno::EINTR));
    context.echo()?.echo(b"others go on")
}

/// Connections tried under signals.
const STORM: usize = 500;

fn storm(context: &Context) -> Result<()> {
    sys::ignore_by_handler(SIGNAL, false)?;
    let device = context.open()?;
    let done = AtomicBool::new(false);
    let (mut made, mut interrupted) = (0, 0);
    let target = sys::this_thread();
    thread::scope(|scope| -> Result<()> {
        let sender = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = sys::signal_thread(target, SIGNAL);
                thread::yield_now();
            }
        });
        let result = (0..STORM).try_for_each(|_| match device.create(Kind::Context) {
            Ok(_) => {
                made += 1;
                Ok(())
            }
            Err(Errno::EINTR) => {
                interrupted += 1;
                Ok(())
            }
            Err(error) => Err(error),
        });
        done.store(true, Ordering::Relaxed);
        sender.join().map_err(|_| anyhow!("the sender panicked"))?;
        Ok(result?)
    })?;
    tap::diagnostic(&format!("{made} connections, {interrupted} interrupted"));
    super::left::nothing_is_left(context)
}
