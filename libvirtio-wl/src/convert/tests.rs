//! What is no VFD, sent over the test driver.

use std::{
    fs::File,
    io::{self, ErrorKind, IoSlice, PipeReader, PipeWriter, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::EventFd,
};

use crate::{
    Channel, Device, MsgFlags, VfdKind,
    driver::test::{Message, Sent, TestDriver, inode},
    limits::MAX_PUMPED_PER_CHANNEL,
};

/// How long a carried byte may take on a busy machine: bounds a hang, measures nothing.
const PATIENCE: u16 = 20_000;

struct Setup {
    device: Device,
    channel: Channel,
    key: u64,
    driver: Arc<TestDriver>,
}

impl Setup {
    fn new() -> Self {
        let (device, driver) = TestDriver::device();
        driver.add_context("peer", false, None);
        let channel = device.connect("peer").expect("a context");
        let key = inode(&channel);
        Self {
            device,
            channel,
            key,
            driver,
        }
    }

    fn try_send(&self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        self.channel
            .send(&[IoSlice::new(b"x")], &[fd], MsgFlags::DONTWAIT)
    }

    fn send(&self, fd: impl AsFd) -> Sent {
        self.try_send(fd.as_fd()).expect("sent");
        self.driver.take_sent(self.key).expect("a message")
    }
}

fn wait(fd: impl AsFd, events: PollFlags) -> PollFlags {
    let mut fds = [PollFd::new(fd.as_fd(), events)];
    poll(&mut fds, PollTimeout::from(PATIENCE)).expect("poll");
    let revents = fds[0].revents().expect("known");
    assert!(!revents.is_empty(), "nothing happened");
    revents
}

fn sealed(content: &[u8]) -> memfd::Memfd {
    let options = memfd::MemfdOptions::default().allow_sealing(true);
    let memfd = options.create("keymap").expect("a memfd");
    memfd.as_file().write_all(content).expect("room");
    let seals = [
        memfd::FileSeal::SealShrink,
        memfd::FileSeal::SealGrow,
        memfd::FileSeal::SealWrite,
        memfd::FileSeal::SealSeal,
    ];
    memfd.add_seals(&seals).expect("seals");
    memfd
}

fn content(sent: Sent) -> Vec<u8> {
    let fd = sent.fds.into_iter().next().expect("a descriptor");
    let mut bytes = Vec::new();
    // The position belongs to the sender's description: read from the start.
    let mut file = File::from(fd);
    io::Seek::rewind(&mut file).expect("a file");
    file.read_to_end(&mut bytes).expect("readable");
    bytes
}

#[test]
fn memory_is_copied_afresh_each_time() {
    let setup = Setup::new();
    let keymap: Vec<u8> = (0..200_001_u32).map(|n| (n / 7) as u8).collect();
    let memfd = sealed(&keymap);
    let first = setup.send(memfd.as_file());
    let second = setup.send(memfd.as_file());
    assert_ne!(first.vfds, second.vfds);
    for sent in [first, second] {
        let bytes = content(sent);
        assert_eq!(bytes.len(), 200_704, "whole pages");
        assert_eq!(bytes[..keymap.len()], keymap);
        assert!(bytes[keymap.len()..].iter().all(|&byte| byte == 0));
    }
}

#[test]
fn a_read_only_file_at_its_end_is_copied_from_its_start() {
    let setup = Setup::new();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("profile");
    std::fs::write(&path, b"icc profile").expect("written");
    let mut file = File::open(&path).expect("there");
    io::Seek::seek(&mut file, io::SeekFrom::End(0)).expect("a file");
    let bytes = content(setup.send(&file));
    assert_eq!(&bytes[..12], b"icc profile\0");
}

#[test]
fn empty_memory_becomes_a_page() {
    let setup = Setup::new();
    let sent = setup.send(sealed(b"").as_file());
    assert_eq!(content(sent).len(), 4096);
}

#[test]
fn vfds_go_as_they_are() {
    let setup = Setup::new();
    let memory = setup.device.allocate(1).expect("memory");
    let duplicate = memory.as_fd().try_clone_to_owned().expect("a duplicate");
    assert_eq!(setup.send(&duplicate).vfds, [inode(&memory)]);
    let found = setup.device.identify(duplicate.as_fd()).expect("open");
    assert_eq!(found, Some(VfdKind::Memory { size: 4096 }));
}

#[test]
fn what_cannot_be_sent_is_named() {
    let setup = Setup::new();
    let (socket, _other) = UnixStream::pair().expect("sockets");
    let event = EventFd::new().expect("an eventfd");
    let directory = File::open("/").expect("a root");
    let null = File::open("/dev/null").expect("a device");
    let (reader, _writer) = io::pipe().expect("a pipe");
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
    let both = File::options().read(true).write(true).open(path);
    for (fd, name) in [
        (socket.as_fd(), "a socket"),
        (event.as_fd(), "an anonymous kernel object"),
        (directory.as_fd(), "a directory"),
        (null.as_fd(), "a character device"),
        (
            both.as_ref().expect("a pipe").as_fd(),
            "a FIFO open in both directions",
        ),
    ] {
        let error = setup.try_send(fd).expect_err("no VFD");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with(name), "{error}");
    }
    assert!(setup.driver.take_sent(setup.key).is_none());
    let identified = setup.device.identify(socket.as_fd()).expect("open");
    assert_eq!(identified, None);
}

#[test]
fn the_peer_writes_into_a_pipe() {
    let setup = Setup::new();
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let sent = setup.send(&writer);
    drop(writer);
    let expected: Vec<u8> = (0..300_000_u32).map(|n| (n / 3) as u8).collect();
    // Far more than the pipe holds: it must be carried as it is read.
    for chunk in expected.chunks(3968) {
        setup.driver.push(sent.vfds[0], Message::new(chunk, vec![]));
    }
    setup.driver.hang_up(sent.vfds[0]);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("the end");
    assert_eq!(bytes, expected);
}

#[test]
fn the_peer_reads_from_a_pipe() {
    let setup = Setup::new();
    let (reader, mut writer) = io::pipe().expect("a pipe");
    let sent = setup.send(&reader);
    drop(reader);
    let expected: Vec<u8> = (0..300_000_u32).map(|n| (n / 3) as u8).collect();
    writer.write_all(&expected).expect("carried away");
    drop(writer);
    // The host learns of the end when the VFD closes: the driver's copy is the last.
    let mut bytes = Vec::new();
    while bytes.len() < expected.len() {
        if let Some(message) = setup.driver.take_sent(sent.vfds[0]) {
            bytes.extend(message.data);
        } else {
            std::thread::yield_now();
        }
    }
    assert_eq!(bytes, expected);
}

#[test]
fn the_peer_goes_away() {
    let setup = Setup::new();
    let (reader, writer) = io::pipe().expect("a pipe");
    let sent = setup.send(&reader);
    drop(reader);
    setup.driver.hang_up(sent.vfds[0]);
    // The last reader was the pump.
    assert!(wait(&writer, PollFlags::empty()).contains(PollFlags::POLLERR));

    let (reader, writer) = io::pipe().expect("a pipe");
    let sent = setup.send(&writer);
    drop(writer);
    setup.driver.hang_up(sent.vfds[0]);
    assert!(wait(&reader, PollFlags::POLLIN).contains(PollFlags::POLLHUP));
}

#[test]
fn a_full_device_is_tried_again() {
    let setup = Setup::new();
    let (reader, mut writer) = io::pipe().expect("a pipe");
    let sent = setup.send(&reader);
    drop(reader);
    setup.driver.refuse_sends(&[Errno::EAGAIN; 3]);
    writer.write_all(b"late").expect("room");
    let message = loop {
        if let Some(message) = setup.driver.take_sent(sent.vfds[0]) {
            break message;
        }
        std::thread::yield_now();
    };
    assert_eq!(message.data, b"late");
}

#[test]
fn a_failed_send_takes_nothing_and_can_be_repeated() {
    let setup = Setup::new();
    let (reader, mut writer) = io::pipe().expect("a pipe");
    writer.write_all(b"kept").expect("room");
    for _ in 0..2 * MAX_PUMPED_PER_CHANNEL {
        setup.driver.refuse_sends(&[Errno::EAGAIN]);
        let error = setup.try_send(reader.as_fd()).expect_err("full");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
    setup.driver.refuse_pipes(Errno::ENOSPC);
    let error = setup.try_send(reader.as_fd()).expect_err("no id free");
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    let mut bytes = [0; 4];
    (&reader).read_exact(&mut bytes).expect("still there");
    assert_eq!(&bytes, b"kept");
}

#[test]
fn the_owner_keeps_its_blocking_mode() {
    let setup = Setup::new();
    let (reader, _writer): (PipeReader, PipeWriter) = io::pipe().expect("a pipe");
    setup.send(&reader);
    let flags = OFlag::from_bits_retain(fcntl(&reader, FcntlArg::F_GETFL).expect("open"));
    assert!(!flags.contains(OFlag::O_NONBLOCK));
}

#[test]
fn pipes_are_bounded_and_come_back() {
    let setup = Setup::new();
    let mut ends: Vec<OwnedFd> = Vec::new();
    let mut keys = Vec::new();
    loop {
        let (reader, writer) = io::pipe().expect("a pipe");
        match setup.try_send(reader.as_fd()) {
            Ok(_) => {
                let sent = setup.driver.take_sent(setup.key).expect("a message");
                keys.push(sent.vfds[0]);
                ends.push(writer.into());
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                break;
            }
        }
    }
    assert_eq!(keys.len(), MAX_PUMPED_PER_CHANNEL);
    setup.driver.hang_up(keys[7]);
    assert!(wait(&ends[7], PollFlags::empty()).contains(PollFlags::POLLERR));
    // Closing came first, counting follows at once.
    let (reader, _writer) = io::pipe().expect("a pipe");
    while setup.try_send(reader.as_fd()).is_err() {
        std::thread::yield_now();
    }
}

#[test]
fn pipes_outlive_the_device() {
    let setup = Setup::new();
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let sent = setup.send(&writer);
    drop(writer);
    let driver = Arc::clone(&setup.driver);
    drop(setup);
    driver.push(sent.vfds[0], Message::new(b"after", vec![]));
    driver.hang_up(sent.vfds[0]);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("the end");
    assert_eq!(bytes, b"after");
}
