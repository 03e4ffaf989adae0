//! Memory that NEW makes.

use std::thread;

use anyhow::{Result, anyhow, ensure};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::mman::{MapFlags, ProtFlags};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::{Whence, ftruncate, lseek};

use super::{Context, Group, ensure_eq, ensure_errno};
use crate::device::{Kind, PAGE};
use crate::mapping::Mapping;
use crate::sys;

pub(super) const GROUP: Group = Group::new(
    "memory",
    &[
        ("has whole pages, and says how many", sizes),
        ("of no or too many bytes is EINVAL", bad_sizes),
        ("can be sought, not resized", position),
        (
            "begins as zeroes, at once, in 400 places from four threads",
            fresh,
        ),
        ("is mapped at the offset asked for", offsets),
        ("is not mapped beyond its end", beyond),
        ("mapped to read cannot be written", read_only),
        ("mapped privately is a copy when written", private),
        ("mappings shrink and do not grow", resize),
        ("stays mapped after its descriptor is closed", outlives),
        ("stays the same across fork", fork),
        ("carries no messages", no_messages),
        ("can be written out by write(2)", as_buffer),
    ],
);

const READ_WRITE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

fn sizes(context: &Context) -> Result<()> {
    for (asked, got) in [
        (1, PAGE),
        (PAGE, PAGE),
        (PAGE + 1, 2 * PAGE),
        (3 * PAGE - 5, 3 * PAGE),
    ] {
        let vfd = context.memory(asked)?;
        ensure_eq!(vfd.size()?, got);
        ensure_eq!(lseek(&vfd, 0, Whence::SeekEnd)?, i64::try_from(got)?);
    }
    Ok(())
}

fn bad_sizes(context: &Context) -> Result<()> {
    context.needs_memory()?;
    let device = context.open()?;
    // The last does not fit 32 bits once rounded to pages.
    for size in [0, u32::MAX] {
        ensure_errno!(device.create(Kind::Memory(size)), EINVAL);
    }
    let huge = device.create(Kind::Memory(u32::MAX - 4095));
    ensure!(matches!(huge, Err(Errno::ENOMEM)), "{huge:?}");
    Ok(())
}

fn position(context: &Context) -> Result<()> {
    let vfd = context.memory(3 * PAGE)?;
    ensure_eq!(lseek(&vfd, 100, Whence::SeekSet)?, 100);
    ensure_eq!(lseek(&vfd, 5, Whence::SeekCur)?, 105);
    ensure_errno!(lseek(&vfd, -1, Whence::SeekSet), EINVAL);
    ensure_errno!(ftruncate(&vfd, 10), EINVAL);
    Ok(())
}

/// Allocations of each thread, and of all.
const EACH: usize = 100;
const THREADS: usize = 4;

fn fresh(context: &Context) -> Result<()> {
    context.needs_memory()?;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || fresh_thread(context, thread)))
            .collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        Ok(())
    })
}

fn fresh_thread(context: &Context, thread: usize) -> Result<()> {
    let device = context.open()?;
    let mut kept = Vec::new();
    for round in 0..EACH {
        let size = PAGE * (1 + round % 16);
        let vfd = device.create(Kind::Memory(u32::try_from(size)?))?;
        let memory = Mapping::shared(&vfd, size)?;
        let first = (memory.get(0), memory.get(size - 1));
        ensure!(
            first == (0, 0),
            "allocation {round} of thread {thread} begins as {first:?}"
        );
        let mark = u8::try_from(1 + (thread * EACH + round) % 255)?;
        for at in (0..size).step_by(PAGE) {
            memory.set(at, mark);
        }
        // All stay, so that 400 are mapped in the end.
        kept.push((vfd, memory, size, mark));
    }
    for (_, memory, size, mark) in &kept {
        for at in (0..*size).step_by(PAGE) {
            ensure_eq!(memory.get(at), *mark);
        }
    }
    Ok(())
}

fn offsets(context: &Context) -> Result<()> {
    let vfd = context.memory(3 * PAGE)?;
    let all = Mapping::shared(&vfd, 3 * PAGE)?;
    for page in 0..3 {
        all.write(page * PAGE, format!("page {page}").as_bytes());
    }
    for page in 0..3 {
        for flags in [MapFlags::MAP_SHARED, MapFlags::MAP_PRIVATE] {
            for prot in [ProtFlags::PROT_READ, READ_WRITE] {
                let part = Mapping::new(&vfd, PAGE, i64::try_from(page * PAGE)?, prot, flags)?;
                ensure_eq!(part.read(0, 6), format!("page {page}").into_bytes());
            }
        }
    }
    Ok(())
}

fn beyond(context: &Context) -> Result<()> {
    let vfd = context.memory(3 * PAGE)?;
    let map = |len, offset| {
        Mapping::new(
            &vfd,
            len,
            offset,
            ProtFlags::PROT_READ,
            MapFlags::MAP_SHARED,
        )
    };
    let end = i64::try_from(3 * PAGE)?;
    ensure_errno!(map(PAGE, end), EINVAL);
    ensure_errno!(map(4 * PAGE, 0), EINVAL);
    ensure_errno!(map(2 * PAGE, 2 * i64::try_from(PAGE)?), EINVAL);
    // An offset that would overflow when added to.
    let far = map(PAGE, i64::MAX - i64::try_from(PAGE)? + 1);
    ensure!(
        matches!(far, Err(Errno::EINVAL | Errno::EOVERFLOW)),
        "{far:?}"
    );
    map(3 * PAGE, 0)?;
    Ok(())
}

fn read_only(context: &Context) -> Result<()> {
    let vfd = context.memory(PAGE)?;
    let memory = Mapping::read_only(&vfd, PAGE)?;
    let ended = sys::in_child(|| {
        if sys::end_at(Signal::SIGSEGV).is_ok() {
            memory.set(0, 1);
        }
        0
    })?;
    ensure!(
        matches!(ended, WaitStatus::Exited(_, sys::CAUGHT)),
        "{ended:?}"
    );
    ensure_eq!(memory.get(0), 0);
    // The descriptor allows writing, so the owner of the mapping may change its mind.
    memory.raw().protect(READ_WRITE)?;
    memory.set(0, 1);
    ensure_eq!(memory.get(0), 1);
    Ok(())
}

fn private(context: &Context) -> Result<()> {
    let vfd = context.memory(3 * PAGE)?;
    let shared = Mapping::shared(&vfd, 3 * PAGE)?;
    shared.write(PAGE, b"ours");
    let offset = i64::try_from(PAGE)?;
    let copy = Mapping::new(&vfd, PAGE, offset, READ_WRITE, MapFlags::MAP_PRIVATE)?;
    ensure_eq!(copy.read(0, 4), b"ours".to_vec());
    copy.write(0, b"mine");
    ensure_eq!(shared.read(PAGE, 4), b"ours".to_vec());
    ensure_eq!(copy.read(0, 4), b"mine".to_vec());
    let reader = Mapping::new(
        &vfd,
        PAGE,
        offset,
        ProtFlags::PROT_READ,
        MapFlags::MAP_PRIVATE,
    )?;
    ensure_eq!(reader.read(0, 4), b"ours".to_vec());
    ensure_errno!(reader.raw().protect(READ_WRITE), EACCES);
    Ok(())
}

fn resize(context: &Context) -> Result<()> {
    let vfd = context.memory(3 * PAGE)?;
    let mut memory = sys::RawMapping::new(
        std::os::fd::AsFd::as_fd(&vfd),
        3 * PAGE,
        0,
        READ_WRITE,
        MapFlags::MAP_SHARED,
    )?;
    memory.set(0, 7);
    ensure!(memory.resize(4 * PAGE).is_err(), "grew");
    memory.resize(PAGE)?;
    ensure_eq!(memory.get(0), 7);
    Ok(())
}

fn outlives(context: &Context) -> Result<()> {
    let vfd = context.memory(2 * PAGE)?;
    let memory = Mapping::shared(&vfd, 2 * PAGE)?;
    memory.set(PAGE, 1);
    drop(vfd);
    // Anything that reused its place would show.
    let others: Vec<_> = (0..20)
        .map(|_| {
            context
                .memory(2 * PAGE)
                .and_then(|vfd| Ok(Mapping::shared(&vfd, 2 * PAGE)?))
        })
        .collect::<Result<_>>()?;
    for other in &others {
        other.set(PAGE, 2);
    }
    ensure_eq!(memory.get(PAGE), 1);
    Ok(())
}

fn fork(context: &Context) -> Result<()> {
    let vfd = context.memory(PAGE)?;
    let memory = Mapping::shared(&vfd, PAGE)?;
    memory.set(0, 1);
    let ended = sys::in_child(|| {
        let seen = memory.get(0);
        memory.set(1, 2);
        i32::from(seen != 1)
    })?;
    ensure!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
    ensure_eq!(memory.get(1), 2);
    Ok(())
}

fn no_messages(context: &Context) -> Result<()> {
    let vfd = context.memory(PAGE)?;
    ensure_errno!(vfd.send(b"x"), EINVAL);
    ensure_errno!(vfd.recv(10), EINVAL);
    ensure_errno!(vfd.read(10), EINVAL);
    ensure_errno!(vfd.write(b"x"), EINVAL);
    let found = vfd.poll(PollFlags::POLLIN)?;
    ensure!(!found.contains(PollFlags::POLLIN), "{found:?}");
    Ok(())
}

fn as_buffer(context: &Context) -> Result<()> {
    let vfd = context.memory(PAGE)?;
    let memory = Mapping::shared(&vfd, PAGE)?;
    memory.write(0, b"straight from memory");
    let (reader, writer) = nix::unistd::pipe()?;
    let sent = sys::write_from(
        std::os::fd::AsFd::as_fd(&writer),
        memory.raw().address(),
        20,
    )?;
    let mut got = [0; 20];
    ensure_eq!(nix::unistd::read(&reader, &mut got)?, sent);
    ensure_eq!(&got, b"straight from memory");
    // And into the device itself.
    let echo = context.echo()?;
    ensure_eq!(
        sys::write_from(std::os::fd::AsFd::as_fd(&echo), memory.raw().address(), 20)?,
        20
    );
    ensure_eq!(
        echo.recv_exactly(20, 0)?.bytes.as_slice(),
        b"straight from memory"
    );
    Ok(())
}
