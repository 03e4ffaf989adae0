//! VFDs in messages.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use anyhow::{Result, ensure};
use nix::poll::PollFlags;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use guest_selftest::peer::{Order, pattern};

use super::{Context, Group, ensure_eq, ensure_errno};
use crate::device::{MAX_FDS, MESSAGE, Message, PAGE, Vfd};
use crate::mapping::Mapping;
use crate::sys;
use crate::waiting;

pub(super) const GROUP: Group = Group::new(
    "passing",
    &[
        ("memory comes back as the same memory", memory),
        ("28 VFDs fit one message", as_many_as_fit),
        (
            "the list of VFDs ends at the first negative number",
            stops_at_negative,
        ),
        ("descriptors never come after their bytes", order),
        ("what is no VFD is EINVAL, what is not open EBADFD", refused),
        ("a connection can be passed on", connection),
        ("read leaves descriptors for RECV", read_leaves),
        ("with a full descriptor table nothing is lost", full_table),
        ("memory of the host has its exact size", host_memory),
        ("28 memories of the host fit one message", host_memories),
        ("sealed memory of the host can be read", sealed),
        ("a socket of the host carries bytes", host_socket),
        ("what is closed unread costs nothing", closed_unread),
    ],
);

/// Gives an order and takes the answer.
pub(super) fn order_host(host: &Vfd, what: Order, fds: usize) -> Result<Message> {
    host.send(&what.to_bytes())?;
    let answer = host.recv_exactly(1, fds)?;
    ensure_eq!(answer.bytes.as_slice(), b".");
    Ok(answer)
}

/// The only descriptor of an answer.
pub(super) fn only(mut message: Message) -> Result<Vfd> {
    ensure_eq!(message.fds.len(), 1);
    Ok(message.fds.remove(0))
}

fn memory(context: &Context) -> Result<()> {
    let echo = context.echo()?;
    let vfd = context.memory(3 * PAGE)?;
    let ours = Mapping::shared(&vfd, 3 * PAGE)?;
    ours.write(2 * PAGE, b"page 2");
    echo.send_fds(b"fd", &[vfd.as_fd()])?;
    let back = only(echo.recv_exactly(2, 1)?)?;
    ensure_eq!(back.size()?, 3 * PAGE);
    let theirs = Mapping::shared(&back, 3 * PAGE)?;
    ensure_eq!(theirs.read(2 * PAGE, 6), b"page 2".to_vec());
    theirs.write(0, b"changed");
    ensure_eq!(ours.read(0, 7), b"changed".to_vec());
    Ok(())
}

fn as_many_as_fit(context: &Context) -> Result<()> {
    let echo = context.echo()?;
    let vfd = context.memory(PAGE)?;
    let fds = [vfd.as_fd(); MAX_FDS];
    echo.send_fds(&[b'x'; MESSAGE], &fds)?;
    let back = echo.recv_exactly(MESSAGE, MAX_FDS)?;
    for vfd in &back.fds {
        ensure_eq!(vfd.size()?, PAGE);
    }
    Ok(())
}

fn stops_at_negative(context: &Context) -> Result<()> {
    let echo = context.echo()?;
    let vfd = context.anything()?;
    let number = vfd.as_fd().as_raw_fd();
    sys::ioctl_send_numbers(echo.as_fd(), b"one", &[number, -7, number])?;
    echo.recv_exactly(3, 1)?;
    ensure_eq!(echo.poll(PollFlags::POLLIN)?, PollFlags::empty());
    Ok(())
}

/// Messages of the order test, each with a descriptor.
const MESSAGES: usize = 100;

fn order(context: &Context) -> Result<()> {
    let echo = context.echo()?;
    let vfd = context.anything()?;
    for _ in 0..MESSAGES {
        echo.send_fds(b"m", &[vfd.as_fd()])?;
    }
    let (mut bytes, mut fds) = (0, 0);
    while bytes < MESSAGES || fds < MESSAGES {
        let part = echo.recv_soon(7)?;
        bytes += part.bytes.len();
        fds += part.fds.len();
        // One descriptor belongs to each byte.
        ensure!(fds >= bytes, "{bytes} bytes, but {fds} descriptors");
    }
    ensure_eq!((bytes, fds), (MESSAGES, MESSAGES));
    Ok(())
}

fn refused(context: &Context) -> Result<()> {
    let echo = context.echo()?;
    let device = context.open()?;
    let memfd = memfd_create("selftest", MFdFlags::MFD_CLOEXEC)?;
    let (reader, writer) = nix::unistd::pipe()?;
    let not_vfds: [BorrowedFd<'_>; 4] = [
        device.as_fd(),
        memfd.as_fd(),
        reader.as_fd(),
        writer.as_fd(),
    ];
    for fd in not_vfds {
        ensure_errno!(echo.send_fds(b"x", &[fd]), EINVAL);
    }
    // Behind a good one too, and then nothing is sent.
    let good = context.anything()?;
    ensure_errno!(echo.send_fds(b"x", &[good.as_fd(), memfd.as_fd()]), EINVAL);
    ensure_errno!(
        sys::ioctl_send_numbers(echo.as_fd(), b"x", &[i32::MAX]),
        EBADFD
    );
    echo.echo(b"nothing came before this")
}

fn connection(context: &Context) -> Result<()> {
    let carrier = context.echo()?;
    let passed = context.echo()?;
    carrier.send_fds(b"c", &[passed.as_fd()])?;
    let back = only(carrier.recv_exactly(1, 1)?)?;
    drop(passed);
    back.send(b"x")?;
    // Two holders of one socket: the bytes come to whichever reads; now there is one.
    ensure_eq!(back.recv_exactly(1, 0)?.bytes.as_slice(), b"x");
    Ok(())
}

fn read_leaves(context: &Context) -> Result<()> {
    let echo = context.echo()?;
    let vfd = context.anything()?;
    echo.send_fds(b"ab", &[vfd.as_fd()])?;
    waiting::readable(&echo)?;
    ensure_eq!(echo.read(10)?.as_slice(), b"ab");
    ensure_eq!(echo.poll(PollFlags::POLLIN)?, PollFlags::POLLIN);
    echo.set_nonblocking(true)?;
    ensure_errno!(echo.read(10), EAGAIN);
    let rest = echo.recv(10)?;
    ensure!(rest.bytes.is_empty());
    ensure_eq!(rest.fds.len(), 1);
    ensure_eq!(echo.poll(PollFlags::POLLIN)?, PollFlags::empty());
    Ok(())
}

fn full_table(context: &Context) -> Result<()> {
    let echo = context.echo()?;
    let vfd = context.anything()?;
    echo.send_fds(b"ab", &[vfd.as_fd(), vfd.as_fd()])?;
    waiting::readable(&echo)?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let next: OwnedFd = nix::unistd::dup(&vfd)?;
    let free = u64::try_from(next.as_raw_fd())?;
    drop(next);
    setrlimit(Resource::RLIMIT_NOFILE, free, hard)?;
    let none = echo.recv(100);
    setrlimit(Resource::RLIMIT_NOFILE, free + 1, hard)?;
    let one = echo.recv(100);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    ensure_errno!(none, EMFILE);
    let one = one?;
    ensure_eq!((one.bytes.len(), one.fds.len()), (0, 1));
    let rest = echo.recv(100)?;
    ensure_eq!(rest.bytes.as_slice(), b"ab");
    ensure_eq!(rest.fds.len(), 1);
    Ok(())
}

/// Size of a keymap: less than whole pages.
const ODD: usize = 23_851;

fn check_pattern(vfd: &Vfd, size: usize) -> Result<()> {
    ensure_eq!(vfd.size()?, size);
    let memory = Mapping::read_only(vfd, size)?;
    for at in 0..size {
        ensure!(memory.get(at) == pattern(at), "byte {at} of {size}");
    }
    Ok(())
}

fn host_memory(context: &Context) -> Result<()> {
    context.needs_memory()?;
    let host = context.host()?;
    for size in [1, ODD, 16 * PAGE] {
        let vfd = only(order_host(&host, Order::Memory { count: 1, size }, 1)?)?;
        check_pattern(&vfd, size)?;
    }
    Ok(())
}

fn host_memories(context: &Context) -> Result<()> {
    context.needs_memory()?;
    let host = context.host()?;
    let order = Order::Memory {
        count: MAX_FDS,
        size: 2 * PAGE,
    };
    for vfd in &order_host(&host, order, MAX_FDS)?.fds {
        check_pattern(vfd, 2 * PAGE)?;
    }
    Ok(())
}

fn sealed(context: &Context) -> Result<()> {
    context.needs_memory()?;
    let host = context.host()?;
    let vfd = only(order_host(&host, Order::Sealed { size: ODD }, 1)?)?;
    check_pattern(&vfd, ODD)
}

fn host_socket(context: &Context) -> Result<()> {
    let host = context.host()?;
    let socket = only(order_host(&host, Order::Socket, 1)?)?;
    socket.echo(b"to the host and back")?;
    socket.send(b"quit")?;
    ensure_eq!(waiting::readable(&socket)?, PollFlags::POLLHUP);
    host.echo_order()
}

fn closed_unread(context: &Context) -> Result<()> {
    for _ in 0..20 {
        let echo = context.echo()?;
        let vfd = context.anything()?;
        let nested = context.echo()?;
        nested.send_fds(b"inner", &[vfd.as_fd()])?;
        echo.send_fds(b"outer", &[nested.as_fd(), vfd.as_fd()])?;
        waiting::readable(&echo)?;
    }
    context.echo()?.echo(b"others go on")
}

impl Vfd {
    /// The host still answers.
    fn echo_order(&self) -> Result<()> {
        order_host(self, Order::Flood { bytes: 0 }, 0).map(drop)
    }
}
