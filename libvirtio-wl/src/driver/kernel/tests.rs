//! The driver over a pretended kernel.

use std::{
    collections::VecDeque,
    io::{IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    sync::Mutex,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFlags, PollTimeout},
};

use super::{
    FENCE_LINK, KernelDriver, UNKNOWN, VFD_LINK,
    sys::{Calls, IOCTL_NEW, IOCTL_RECV, IOCTL_REFRESH, IOCTL_SEND, NewArgument, NewKind, Txn},
};
use crate::{
    device::lock,
    driver::{Driver, NewVfd},
    wire::{ContextName, PipeDirection, VfdKind},
};

/// Bytes and descriptors.
type Received = (Vec<u8>, Vec<OwnedFd>);

/// What the kernel answers, in order, and what it was asked.
#[derive(Debug, Default)]
struct Script {
    create: VecDeque<Errno>,
    created: Vec<NewKind>,
    send: VecDeque<Errno>,
    sent: Vec<(Vec<u8>, Vec<i32>)>,
    recv: VecDeque<nix::Result<Received>>,
    room: Vec<u32>,
    events: Option<PollFlags>,
    /// Size of the memory of every descriptor asked about.
    memory: Option<u64>,
    maps: usize,
    /// What lseek says; it says that there is no end when this is `None`.
    end: Option<u64>,
    refresh: VecDeque<nix::Result<u64>>,
    link: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Pretended(Mutex<Script>);

impl Calls for Pretended {
    fn create(&self, _device: BorrowedFd<'_>, kind: NewKind) -> nix::Result<OwnedFd> {
        let mut script = lock(&self.0);
        if let Some(errno) = script.create.pop_front() {
            return Err(errno);
        }
        script.created.push(kind);
        Ok(some_fd(true, true))
    }

    fn send(&self, _vfd: BorrowedFd<'_>, txn: &Txn) -> nix::Result<()> {
        let mut script = lock(&self.0);
        if let Some(errno) = script.send.pop_front() {
            return Err(errno);
        }
        let data = txn.data[..txn.len as usize].to_vec();
        let fds = txn.fds.into_iter().filter(|&fd| fd != -1).collect();
        script.sent.push((data, fds));
        Ok(())
    }

    fn recv(&self, _vfd: BorrowedFd<'_>, txn: &mut Txn) -> nix::Result<Vec<OwnedFd>> {
        let mut script = lock(&self.0);
        script.room.push(txn.len);
        let (data, fds) = script.recv.pop_front().expect("an answer")?;
        txn.len = u32::try_from(data.len()).expect("small");
        txn.data[..data.len()].copy_from_slice(&data);
        Ok(fds)
    }

    fn poll(
        &self,
        _fd: BorrowedFd<'_>,
        events: PollFlags,
        timeout: PollTimeout,
    ) -> nix::Result<PollFlags> {
        let shown = lock(&self.0).events.unwrap_or(events) & (events | PollFlags::POLLHUP);
        assert!(
            timeout == PollTimeout::ZERO || !shown.is_empty(),
            "would wait for ever"
        );
        Ok(shown)
    }

    fn link(&self, _fd: BorrowedFd<'_>) -> nix::Result<PathBuf> {
        Ok(lock(&self.0).link.unwrap_or(VFD_LINK).into())
    }

    fn refresh(&self, _vfd: BorrowedFd<'_>) -> nix::Result<u64> {
        lock(&self.0).refresh.pop_front().expect("an answer")
    }

    fn end(&self, _fd: BorrowedFd<'_>) -> nix::Result<u64> {
        lock(&self.0).end.ok_or(Errno::ESPIPE)
    }

    fn try_map_page(&self, _fd: BorrowedFd<'_>, offset: u64) -> nix::Result<()> {
        let mut script = lock(&self.0);
        script.maps += 1;
        match script.memory {
            None => Err(Errno::EACCES),
            Some(size) if offset + 4096 > size.next_multiple_of(4096) => Err(Errno::EINVAL),
            Some(_) => Ok(()),
        }
    }
}

fn some_fd(read: bool, write: bool) -> OwnedFd {
    let file = std::fs::File::options()
        .read(read)
        .write(write)
        .open("/dev/null");
    file.expect("/dev/null").into()
}

fn is_nonblocking(vfd: &NewVfd) -> bool {
    let flags = fcntl(&vfd.fd, FcntlArg::F_GETFL).expect("flags");
    OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK)
}

fn driver(script: Script) -> KernelDriver<Pretended> {
    KernelDriver {
        device: some_fd(true, true),
        calls: Pretended(Mutex::new(script)),
    }
}

impl KernelDriver<Pretended> {
    fn send_bytes(&self, data: &[u8], nonblock: bool) -> Result<usize, Option<i32>> {
        self.send(self.device.as_fd(), &[IoSlice::new(data)], &[], nonblock)
            .map_err(|error| error.raw_os_error())
    }

    fn recv_bytes(&self, room: usize) -> Result<(Vec<u8>, Vec<NewVfd>), Option<i32>> {
        let mut data = vec![0; room];
        let mut out = Vec::new();
        // Two buffers, so that filling them is seen.
        let (front, back) = data.split_at_mut(room / 2);
        let mut bufs = [IoSliceMut::new(front), IoSliceMut::new(back)];
        let count = self
            .recv(self.device.as_fd(), &mut bufs, &mut out, true)
            .map_err(|error| error.raw_os_error())?;
        data.truncate(count);
        Ok((data, out))
    }
}

#[test]
fn numbers_of_the_header() {
    assert_eq!(IOCTL_NEW, 0xc030_7700);
    assert_eq!(IOCTL_SEND, 0x8074_7701);
    assert_eq!(IOCTL_RECV, 0x4074_7702);
    assert_eq!(IOCTL_REFRESH, 0x8008_7710);
}

#[test]
fn layout_of_a_new_vfd() {
    let memory = NewArgument::new(NewKind::Memory(0x1234));
    assert_eq!((memory.kind, memory.fd, memory.flags), (1, -1, 0));
    assert_eq!(memory.arm[..5], [0x34, 0x12, 0, 0, 0]);
    let mut name = [0; 32];
    name[..3].copy_from_slice(b"abc");
    let named = NewArgument::new(NewKind::NamedContext(name));
    assert_eq!((named.kind, &named.arm[..4]), (5, &b"abc\0"[..]));
    assert_eq!(std::mem::offset_of!(NewArgument, arm), 12);
    assert_eq!(std::mem::offset_of!(Txn, len), 112);
    for (kind, number) in [
        (NewKind::Context, 0),
        (NewKind::PipeRead, 2),
        (NewKind::PipeWrite, 3),
    ] {
        assert_eq!(NewArgument::new(kind).kind, number);
    }
}

#[test]
fn what_is_made() {
    let driver = driver(Script {
        create: [Errno::EINTR, Errno::EBUSY].into(),
        ..Script::default()
    });
    let default = driver.new_context(&ContextName::DEFAULT).expect("a VFD");
    assert_eq!(default.kind, VfdKind::Socket);
    assert!(is_nonblocking(&default));
    let name = ContextName::new("wl-accept").expect("a name");
    driver.new_context(&name).expect("a VFD");
    let memory = driver.new_memory(8192).expect("a VFD");
    assert_eq!(memory.kind, VfdKind::Memory { size: 8192 });
    for (direction, read) in [(PipeDirection::Read, true), (PipeDirection::Write, false)] {
        let pipe = driver.new_pipe(direction).expect("a VFD");
        assert_eq!(pipe.kind, VfdKind::Pipe { read, write: !read });
        assert!(!is_nonblocking(&pipe));
    }
    assert_eq!(
        lock(&driver.calls.0).created,
        [
            NewKind::Context,
            NewKind::NamedContext(name.to_wire()),
            NewKind::Memory(8192),
            NewKind::PipeRead,
            NewKind::PipeWrite,
        ]
    );
}

#[test]
fn errors_of_making_are_told() {
    let driver = driver(Script {
        create: [Errno::ENODEV].into(),
        ..Script::default()
    });
    let error = driver.new_context(&ContextName::DEFAULT).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
}

#[test]
fn sending_gathers_and_counts() {
    let driver = driver(Script::default());
    let long = vec![7; 5000];
    let bufs = [IoSlice::new(b"ab"), IoSlice::new(&long)];
    let vfd = some_fd(true, true);
    let sent = driver.send(driver.device.as_fd(), &bufs, &[vfd.as_fd()], true);
    assert_eq!(sent.expect("sent"), 3968);
    let script = lock(&driver.calls.0);
    let (data, fds) = &script.sent[0];
    assert_eq!((data.len(), &data[..3]), (3968, &b"ab\x07"[..]));
    assert_eq!(fds, &[vfd.as_raw_fd()]);
}

#[test]
fn errors_of_sending() {
    for (errno, hung_up, expected) in [
        (Errno::ENODEV, false, libc::EPIPE),
        (Errno::EINVAL, true, libc::EPIPE),
        (Errno::EINVAL, false, libc::EINVAL),
        (Errno::EAGAIN, false, libc::EAGAIN),
        (Errno::EBUSY, false, libc::EAGAIN),
        (Errno::EBADFD, false, libc::EBADF),
        (Errno::ENOTTY, false, libc::ENOTTY),
        (Errno::ENOMEM, false, libc::ENOMEM),
    ] {
        let mut events = PollFlags::POLLOUT;
        events.set(PollFlags::POLLHUP, hung_up);
        let driver = driver(Script {
            send: [Errno::EINTR, errno].into(),
            events: Some(events),
            ..Script::default()
        });
        assert_eq!(driver.send_bytes(b"x", true), Err(Some(expected)));
    }
}

#[test]
fn a_full_ring() {
    let full = driver(Script {
        events: Some(PollFlags::empty()),
        ..Script::default()
    });
    assert_eq!(full.send_bytes(b"x", true), Err(Some(libc::EAGAIN)));
    assert!(lock(&full.calls.0).sent.is_empty());
    // Waiting, it is tried until it goes.
    let busy = driver(Script {
        send: [Errno::EAGAIN, Errno::EBUSY].into(),
        ..Script::default()
    });
    assert_eq!(busy.send_bytes(b"x", false), Ok(1));
}

#[test]
fn receiving_scatters() {
    let driver = driver(Script {
        recv: [Ok((b"abcd".to_vec(), vec![]))].into(),
        ..Script::default()
    });
    let (data, out) = driver.recv_bytes(5).expect("data");
    assert_eq!(data, b"abcd");
    assert!(out.is_empty());
    assert_eq!(lock(&driver.calls.0).room, [5]);
}

#[test]
fn receiving_never_asks_for_nothing_nor_for_too_much() {
    let driver = driver(Script {
        recv: [Ok((vec![1; 3968], vec![]))].into(),
        ..Script::default()
    });
    assert_eq!(driver.recv_bytes(0).unwrap_err(), Some(libc::EINVAL));
    assert_eq!(driver.recv_bytes(100_000).expect("data").0.len(), 3968);
    assert_eq!(lock(&driver.calls.0).room, [3968]);
}

#[test]
fn nothing_to_receive() {
    let driver = driver(Script {
        events: Some(PollFlags::empty()),
        ..Script::default()
    });
    // The call itself would wait: VFDs of the kernel are blocking.
    assert_eq!(driver.recv_bytes(5).unwrap_err(), Some(libc::EAGAIN));
    assert!(lock(&driver.calls.0).room.is_empty());
}

#[test]
fn the_end_is_told_from_lost_descriptors() {
    let ended = driver(Script {
        recv: [Ok((vec![], vec![]))].into(),
        events: Some(PollFlags::POLLHUP),
        ..Script::default()
    });
    assert_eq!(ended.recv_bytes(5).expect("the end").0, b"");
    let lost = driver(Script {
        recv: [Ok((vec![], vec![]))].into(),
        events: Some(PollFlags::POLLIN),
        ..Script::default()
    });
    assert_eq!(lost.recv_bytes(5).unwrap_err(), Some(libc::EMFILE));
}

#[test]
fn kinds_of_what_is_received() {
    let streams = vec![
        some_fd(true, true),
        some_fd(true, false),
        some_fd(false, true),
    ];
    let driver = driver(Script {
        recv: [Ok((b"x".to_vec(), streams))].into(),
        ..Script::default()
    });
    let (_, out) = driver.recv_bytes(5).expect("data");
    let kinds: Vec<_> = out.iter().map(|vfd| vfd.kind).collect();
    let pipe = |read| VfdKind::Pipe { read, write: !read };
    assert_eq!(kinds, [VfdKind::Socket, pipe(true), pipe(false)]);
    let flags: Vec<_> = out.iter().map(is_nonblocking).collect();
    assert_eq!(flags, [true, false, false]);
}

#[test]
fn what_cannot_be_identified_loses_no_bytes() {
    let driver = driver(Script {
        recv: [Ok((b"bytes".to_vec(), vec![some_fd(true, true)]))].into(),
        link: Some("anon_inode:[new]"),
        ..Script::default()
    });
    let (data, out) = driver.recv_bytes(8).expect("data");
    assert_eq!((data, out.len()), (b"bytes".to_vec(), 1));
    assert_eq!(out[0].kind, UNKNOWN);
}

#[test]
fn sizes_of_memory_are_found() {
    for size in [
        1_u64,
        4096,
        4097,
        3 << 20,
        (1 << 32) - 8192,
        (1 << 32) - 4096,
    ] {
        let driver = driver(Script {
            memory: Some(size),
            ..Script::default()
        });
        let kind = driver.identify(driver.device.as_fd()).expect("a VFD");
        let size = size.next_multiple_of(4096);
        assert_eq!(kind, Some(VfdKind::Memory { size }));
        assert!(lock(&driver.calls.0).maps <= 21, "halving");
    }
}

#[test]
fn a_driver_that_tells_sizes_is_asked() {
    let driver = driver(Script {
        end: Some(23_851),
        ..Script::default()
    });
    let kind = driver.identify(driver.device.as_fd()).expect("a VFD");
    assert_eq!(kind, Some(VfdKind::Memory { size: 23_851 }));
    assert_eq!(lock(&driver.calls.0).maps, 0);
}

#[test]
fn refreshing() {
    let driver = driver(Script {
        refresh: [
            Err(Errno::EINTR),
            Ok(8192),
            Err(Errno::ENOTTY),
            Err(Errno::ENOMEM),
        ]
        .into(),
        ..Script::default()
    });
    let fd = driver.device.as_fd();
    assert_eq!(driver.refresh(fd).expect("a size"), 8192);
    let failed = |errno: i32| {
        let error = driver.refresh(fd).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(errno));
    };
    failed(libc::EOPNOTSUPP);
    failed(libc::ENOMEM);
}

#[test]
fn what_is_no_vfd() {
    for (link, is_vfd) in [
        (VFD_LINK, true),
        (FENCE_LINK, true),
        ("anon_inode:[eventfd]", false),
        ("/dev/wl0", false),
        ("socket:[1]", false),
    ] {
        let driver = driver(Script {
            link: Some(link),
            ..Script::default()
        });
        let fd = driver.device.as_fd();
        assert_eq!(driver.is_vfd(fd).expect("open"), is_vfd);
        assert_eq!(driver.identify(fd).expect("open").is_some(), is_vfd);
    }
}

#[test]
fn a_node_that_is_not_there() {
    let error = KernelDriver::open(std::path::Path::new("/nonexistent/wl0")).unwrap_err();
    let crate::Error::Open { source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
}
