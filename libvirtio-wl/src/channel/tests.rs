//! Channels over the test driver.

mod differential;

use std::{
    io::{self, ErrorKind, IoSlice, IoSliceMut},
    os::fd::{AsFd, BorrowedFd},
    thread,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::{Channel, MsgFlags};
use crate::{
    Device, Vfd, VfdKind,
    driver::test::{Message, TestDriver, inode, memory},
    limits::MAX_PARKED_VFDS,
};

/// A device with one channel, the channel's inode, and the driver.
fn connected() -> (Device, Channel, u64, std::sync::Arc<TestDriver>) {
    let (device, driver) = TestDriver::device();
    driver.add_context("peer", false, None);
    let channel = device.connect("peer").expect("a context");
    let key = inode(&channel);
    (device, channel, key, driver)
}

fn receive(channel: &Channel, room: usize) -> io::Result<(Vec<u8>, Vec<Vfd>)> {
    let mut data = vec![0; room];
    let mut fds = Vec::new();
    let mut bufs = [IoSliceMut::new(&mut data)];
    let count = channel.recv(&mut bufs, &mut fds, MsgFlags::DONTWAIT)?;
    data.truncate(count);
    Ok((data, fds))
}

fn events(fd: impl AsFd) -> PollFlags {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).expect("poll");
    fds[0].revents().expect("known events")
}

#[test]
fn long_data_goes_in_short_counts() {
    let (_device, channel, key, driver) = connected();
    let data: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
    let mut sent = 0;
    while sent < data.len() {
        let bufs = [
            IoSlice::new(&data[sent..sent]),
            IoSlice::new(&data[sent..data.len().min(sent + 7)]),
            IoSlice::new(&data[data.len().min(sent + 7)..]),
        ];
        let count = channel.send(&bufs, &[], MsgFlags::empty()).expect("room");
        assert!(count > 0 && count <= 3968);
        sent += count;
    }
    let mut arrived = Vec::new();
    while let Some(message) = driver.take_sent(key) {
        arrived.extend(message.data);
    }
    assert_eq!(arrived, data);
}

#[test]
fn more_slices_than_are_looked_at() {
    let (_device, channel, key, driver) = connected();
    let bufs: Vec<_> = std::iter::repeat_n(IoSlice::new(b"ab"), 40).collect();
    let count = channel.send(&bufs, &[], MsgFlags::empty()).expect("room");
    assert_eq!(count, 32);
    assert_eq!(driver.take_sent(key).expect("a message").data.len(), 32);
}

#[test]
fn nothing_is_no_message() {
    let (_device, channel, key, driver) = connected();
    assert_eq!(channel.send(&[], &[], MsgFlags::empty()).expect("fine"), 0);
    assert!(driver.take_sent(key).is_none());
}

#[test]
fn descriptors_are_all_or_nothing() {
    let (device, channel, key, driver) = connected();
    let memories: Vec<_> = (0..29)
        .map(|_| device.allocate(1).expect("memory"))
        .collect();
    let fds: Vec<BorrowedFd<'_>> = memories.iter().map(AsFd::as_fd).collect();
    let one = [IoSlice::new(b"x")];
    for (bufs, fds) in [(&one[..], &fds[..]), (&[], &fds[..1])] {
        let error = channel.send(bufs, fds, MsgFlags::empty()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert!(driver.take_sent(key).is_none());
    let long = vec![1; 5000];
    let count = channel
        .send(&[IoSlice::new(&long)], &fds[..28], MsgFlags::empty())
        .expect("room");
    assert_eq!(count, 3968);
    let message = driver.take_sent(key).expect("a message");
    let expected: Vec<u64> = fds[..28].iter().map(inode).collect();
    assert_eq!(message.vfds, expected);
}

#[test]
fn pipes_carry_no_descriptors() {
    let (device, _channel, _key, _driver) = connected();
    let pipe = device.pipe(crate::PipeDirection::Write).expect("a pipe");
    assert!(pipe.is_writable() && !pipe.is_readable());
    let memory = device.allocate(1).expect("memory");
    let error = pipe
        .send(&[IoSlice::new(b"x")], &[memory.as_fd()], MsgFlags::empty())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn nothing_there() {
    let (_device, channel, key, driver) = connected();
    let error = receive(&channel, 10).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    driver.push(key, Message::new(b"x", vec![]));
    assert_eq!(events(&channel), PollFlags::POLLIN);
    let error = receive(&channel, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(receive(&channel, 10).expect("data").0, b"x");
    assert_eq!(events(&channel), PollFlags::empty());
}

#[test]
fn end_of_stream_after_the_data() {
    let (_device, channel, key, driver) = connected();
    driver.push(key, Message::new(b"last", vec![]));
    driver.hang_up(key);
    assert_eq!(receive(&channel, 3).expect("data").0, b"las");
    assert_eq!(receive(&channel, 3).expect("data").0, b"t");
    for _ in 0..2 {
        assert_eq!(receive(&channel, 3).expect("the end").0, b"");
    }
    assert!(events(&channel).contains(PollFlags::POLLHUP));
    let error = channel
        .send(&[IoSlice::new(b"x")], &[], MsgFlags::DONTWAIT)
        .unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPIPE));
}

#[test]
fn descriptors_without_bytes_wait_for_them() {
    let (_device, channel, key, driver) = connected();
    driver.push(key, Message::new(b"", vec![memory(b"1", 10)]));
    driver.push(key, Message::new(b"", vec![memory(b"2", 20)]));
    let error = receive(&channel, 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    driver.push(key, Message::new(b"x", vec![memory(b"3", 30)]));
    let (data, fds) = receive(&channel, 10).expect("data");
    assert_eq!(data, b"x");
    let sizes: Vec<u64> = fds
        .iter()
        .map(|fd| match fd {
            Vfd::Memory(memory) => memory.size(),
            Vfd::Stream(_) => panic!("no memory"),
        })
        .collect();
    assert_eq!(sizes, [10, 20, 30]);
}

#[test]
fn descriptors_whose_bytes_never_come_are_closed() {
    let (_device, channel, key, driver) = connected();
    let (reader, writer) = io::pipe().expect("a pipe");
    let vfd = crate::driver::NewVfd {
        fd: writer.into(),
        kind: VfdKind::Pipe {
            read: false,
            write: true,
        },
    };
    driver.push(key, Message::new(b"", vec![vfd]));
    driver.hang_up(key);
    assert!(!events(&reader).contains(PollFlags::POLLHUP));
    assert_eq!(receive(&channel, 10).expect("the end").0, b"");
    assert!(events(&reader).contains(PollFlags::POLLHUP));
}

#[test]
fn descriptors_without_end_are_refused() {
    let (_device, channel, key, driver) = connected();
    for _ in 0..=MAX_PARKED_VFDS / 28 {
        let vfds = (0..28).map(|_| memory(b"", 1)).collect();
        driver.push(key, Message::new(b"", vfds));
    }
    let error = receive(&channel, 10).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPROTO));
}

#[test]
fn waiting_ends_with_data_and_with_the_stream() {
    let (_device, channel, key, driver) = connected();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut data = [0; 8];
            let mut total = 0;
            loop {
                let mut bufs = [IoSliceMut::new(&mut data)];
                match channel.recv(&mut bufs, &mut Vec::new(), MsgFlags::empty()) {
                    Ok(0) => return total,
                    Ok(count) => total += count,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        for _ in 0..100 {
            driver.push(key, Message::new(b"abc", vec![]));
        }
        driver.hang_up(key);
        assert_eq!(reader.join().expect("no panic"), 300);
    });
}

#[test]
fn a_refused_send_can_be_repeated() {
    let (device, channel, key, driver) = connected();
    let memory = device.allocate(1).expect("memory");
    driver.refuse_sends(&[Errno::EAGAIN, Errno::EINTR]);
    let send = || channel.send(&[IoSlice::new(b"x")], &[memory.as_fd()], MsgFlags::DONTWAIT);
    assert_eq!(send().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(send().unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(send().expect("room"), 1);
    assert_eq!(driver.take_sent(key).expect("a message").fds.len(), 1);
}

#[test]
fn a_bare_descriptor_becomes_a_channel_again() {
    let (device, channel, key, driver) = connected();
    let fd = std::os::fd::OwnedFd::from(channel);
    driver.push(key, Message::new(b"x", vec![]));
    let Ok(Vfd::Stream(channel)) = device.vfd_from_fd(fd) else {
        panic!("no channel");
    };
    assert_eq!(channel.kind(), VfdKind::Socket);
    assert_eq!(receive(&channel, 5).expect("data").0, b"x");
    let memory = device.allocate(5).expect("memory").into_fd();
    assert!(matches!(device.vfd_from_fd(memory), Ok(Vfd::Memory(memory)) if memory.size() == 4096));
    let (reader, _writer) = io::pipe().expect("a pipe");
    let error = device.vfd_from_fd(reader.into()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
}

#[test]
fn a_received_channel_works() {
    let (device, channel, key, driver) = connected();
    let (vfd, far) = driver.stream(VfdKind::Pipe {
        read: true,
        write: false,
    });
    driver.push(key, Message::new(b"x", vec![vfd]));
    let (_, fds) = receive(&channel, 1).expect("data");
    drop(device);
    let Some(Vfd::Stream(pipe)) = fds.into_iter().next() else {
        panic!("no stream");
    };
    driver.push(far, Message::new(b"hello", vec![]));
    assert_eq!(receive(&pipe, 10).expect("data").0, b"hello");
}
