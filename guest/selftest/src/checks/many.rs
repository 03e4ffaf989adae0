//! Many of everything, and that none stays behind.

use std::os::fd::AsFd;
use std::thread;

use anyhow::{Result, anyhow};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::left::{nothing_is_left, rounds};
use super::{Context, Group, Skip, ensure_eq};
use crate::device::{Device, Kind, PAGE, Vfd};
use crate::mapping::Mapping;
use crate::waiting;

pub(super) const GROUP: Group = Group::new(
    "many",
    &[
        ("2047 VFDs, and no more", all_ids),
        ("1000 connections leave nothing", connections),
        (
            "10000 messages with descriptors arrive and leave nothing",
            messages,
        ),
        ("400 allocations are made, touched and freed", allocations),
        ("four threads connect, allocate, send and close", threads),
    ],
);

/// Ids a guest has.
const IDS: usize = 2047;

/// Creates pipes until there are no more ids.
fn take_all_ids(device: &Device) -> Result<Vec<Vfd>> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let want = u64::try_from(IDS)? + 100;
    if hard < want {
        return Err(Skip(format!("no more than {hard} descriptors allowed")).into());
    }
    setrlimit(Resource::RLIMIT_NOFILE, want.max(4096).min(hard), hard)?;
    let mut vfds = Vec::new();
    loop {
        match device.create(Kind::PipeRead) {
            Ok(vfd) => vfds.push(vfd),
            Err(Errno::ENOSPC) => return Ok(vfds),
            Err(error) => {
                return Err(anyhow!("{error} after {} VFDs", vfds.len()));
            }
        }
    }
}

/// That all ids can be had, so none is still taken by what was closed.
pub(super) fn every_id(context: &Context) -> Result<()> {
    // Ids whose close is under way are waited for by NEW itself.
    ensure_eq!(take_all_ids(&context.open()?)?.len(), IDS);
    Ok(())
}

fn all_ids(context: &Context) -> Result<()> {
    (0..2).try_for_each(|_| every_id(context))?;
    nothing_is_left(context)
}

fn connections(context: &Context) -> Result<()> {
    let device = context.open()?;
    rounds(context, 1000, || device.create(Kind::Context)?.echo(b"hi"))
}

/// Messages under way at once: the descriptors of all must fit.
const WINDOW: usize = 100;
/// Rounds of so many messages: 10000 in all, besides those that warm up.
const WINDOWS: usize = 100;

fn messages(context: &Context) -> Result<()> {
    let mut number = 0_usize;
    rounds(context, WINDOWS, || {
        number += 1;
        window(context, number)
    })
}

/// Messages with a descriptor each there and back; all they need is made anew.
fn window(context: &Context, number: usize) -> Result<()> {
    let vfd = context.memory(PAGE)?;
    let ours = Mapping::shared(&vfd, PAGE)?;
    let echo = context.echo()?;
    for _ in 0..WINDOW {
        echo.send_fds(b"m", &[vfd.as_fd()])?;
    }
    let back = echo.recv_exactly(WINDOW, WINDOW)?;
    ours.write(0, &number.to_le_bytes());
    let last = back.fds.last().ok_or_else(|| anyhow!("no descriptor"))?;
    let theirs = Mapping::read_only(last, PAGE)?;
    ensure_eq!(theirs.read(0, 8), number.to_le_bytes().to_vec());
    Ok(())
}

fn allocations(context: &Context) -> Result<()> {
    const SIZE: usize = 16 * PAGE;
    context.needs_memory()?;
    let device = context.open()?;
    rounds(context, 400, || {
        let vfd = device.create(Kind::Memory(u32::try_from(SIZE)?))?;
        let memory = Mapping::shared(&vfd, SIZE)?;
        ensure_eq!((memory.get(0), memory.get(SIZE - 1)), (0, 0));
        memory.set(SIZE - 1, 1);
        ensure_eq!(memory.get(SIZE - 1), 1);
        Ok(())
    })
}

/// Threads, connections of each, messages of each connection.
const THREADS: usize = 4;
const CONNECTIONS: usize = 40;
const MESSAGES: usize = 10;

fn threads(context: &Context) -> Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| (0..CONNECTIONS).try_for_each(|round| life(context, round))))
            .collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    nothing_is_left(context)
}

/// A connection's life; every third ends with its last message unread.
fn life(context: &Context, round: usize) -> Result<()> {
    let echo = context.echo()?;
    let size = PAGE * (1 + round % 7);
    let vfd = context.memory(size)?;
    let ours = Mapping::shared(&vfd, size)?;
    ensure_eq!(ours.get(0), 0);
    ours.write(0, &round.to_le_bytes());
    for number in 0..MESSAGES {
        let len = number * 100 + 1;
        echo.send_fds(&vec![b'x'; len], &[vfd.as_fd(), vfd.as_fd()])?;
        if number == MESSAGES - 1 && round.is_multiple_of(3) {
            waiting::readable(&echo)?;
            break;
        }
        let back = echo.recv_exactly(len, 2)?;
        let theirs = Mapping::read_only(&back.fds[0], PAGE)?;
        ensure_eq!(theirs.read(0, 8), round.to_le_bytes().to_vec());
    }
    Ok(())
}
