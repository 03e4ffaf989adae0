//! Several descriptors, processes and threads at one VFD.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::process::Command;
use std::thread;

use anyhow::{Result, anyhow, ensure};
use nix::fcntl::OFlag;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use nix::sys::wait::WaitStatus;

use super::{Context, Group, ensure_eq};
use crate::device::{Device, Kind, Vfd};
use crate::sys;
use crate::waiting;

pub(super) const GROUP: Group = Group::new(
    "sharing",
    &[
        ("a duplicate is the same VFD", duplicate),
        ("a child shares it after fork", fork),
        ("exec closes it", exec),
        ("it is passed by SCM_RIGHTS", scm_rights),
        ("it outlives the device's descriptor", outlives_device),
        ("the last of its descriptors closes it", last_close),
        ("threads share one stream, and none is lost", threads),
    ],
);

fn duplicate(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    let other = vfd.duplicate()?;
    vfd.set_nonblocking(true)?;
    ensure!(other.status_flags()?.contains(OFlag::O_NONBLOCK));
    vfd.send(b"x")?;
    ensure_eq!(other.recv_exactly(1, 0)?.bytes.as_slice(), b"x");
    drop(vfd);
    other.echo(b"goes on")
}

fn fork(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    let ended = sys::in_child(|| match vfd.write(b"from the child") {
        Ok(14) => 0,
        _ => 1,
    })?;
    ensure!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
    ensure_eq!(vfd.recv_exactly(14, 0)?.bytes.as_slice(), b"from the child");
    // The child closed its descriptor at its end, which is not ours.
    vfd.echo(b"goes on")
}

fn exec(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    let device = context.open()?;
    let child = Command::new(fs::read_link("/proc/self/exe")?)
        .arg("--open-descriptors")
        .output()?;
    ensure!(child.status.success(), "{child:?}");
    let open = String::from_utf8(child.stdout)?;
    let node = context.path().to_string_lossy();
    ensure!(
        !open.contains("virtwl") && !open.contains(node.as_ref()),
        "inherited: {open}"
    );
    drop(device);
    vfd.echo(b"still open here")
}

fn scm_rights(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    let (here, there) = socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?;
    let numbers = [vfd.as_fd().as_raw_fd()];
    sendmsg::<()>(
        here.as_raw_fd(),
        &[IoSlice::new(b"x")],
        &[ControlMessage::ScmRights(&numbers)],
        MsgFlags::empty(),
        None,
    )?;
    drop(vfd);
    let mut byte = [0];
    let mut control = nix::cmsg_space!([RawFd; 1]);
    let mut buffers = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<()>(
        there.as_raw_fd(),
        &mut buffers,
        Some(&mut control),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let number = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmRights(numbers) => numbers.first().copied(),
        _ => None,
    });
    let number = number.ok_or_else(|| anyhow!("no descriptor came"))?;
    let vfd = Vfd::from(sys::own(number));
    vfd.echo(b"on the other side")
}

fn outlives_device(context: &Context) -> Result<()> {
    let device = context.open()?;
    let vfd = device.create(Kind::Context)?;
    drop(device);
    vfd.echo(b"goes on")
}

fn last_close(context: &Context) -> Result<()> {
    // The far end of a pipe sees when the near one is really closed.
    let echo = context.echo()?;
    let writer = context.open()?.create(Kind::PipeWrite)?;
    echo.send_fds(b"p", &[writer.as_fd()])?;
    let reader = echo.recv_exactly(1, 1)?.fds.remove(0);
    let other = writer.duplicate()?;
    drop(writer);
    other.send(b"open")?;
    waiting::readable(&reader)?;
    ensure_eq!(reader.read(10)?.as_slice(), b"open");
    drop(other);
    waiting::readable(&reader)?;
    ensure!(reader.read(10)?.is_empty());
    Ok(())
}

/// Threads that send, and as many that receive.
const THREADS: usize = 4;
/// Messages of each, of one byte that says whose it is.
const EACH: usize = 250;

fn threads(context: &Context) -> Result<()> {
    let device: Device = context.open()?;
    let vfd = device.create(Kind::Context)?;
    let counts = thread::scope(|scope| -> Result<[usize; THREADS]> {
        for index in 0..THREADS {
            let vfd = &vfd;
            scope.spawn(move || {
                let mark = u8::try_from(index).unwrap_or(u8::MAX);
                (0..EACH).try_for_each(|_| vfd.send(&[mark]))
            });
        }
        let readers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| -> Result<[usize; THREADS]> {
                    let mut counts = [0; THREADS];
                    let mut left = EACH;
                    while left > 0 {
                        let part = vfd.recv(left)?;
                        ensure!(!part.bytes.is_empty(), "end of stream");
                        left -= part.bytes.len();
                        for mark in part.bytes {
                            counts[usize::from(mark)] += 1;
                        }
                    }
                    Ok(counts)
                })
            })
            .collect();
        let mut all = [0; THREADS];
        for reader in readers {
            let counts = reader.join().map_err(|_| anyhow!("a reader panicked"))??;
            for (sum, count) in all.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        Ok(all)
    })?;
    ensure_eq!(counts, [EACH; THREADS]);
    Ok(())
}
