//! A channel beside a real socket pair: the same operations, the same outcome.

use std::{
    io::{ErrorKind, IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    sync::Arc,
};

use nix::sys::{
    socket::{
        AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags as SocketFlags, SockFlag,
        SockType, recvmsg, sendmsg, socketpair,
    },
    stat::fstat,
};
use proptest::{collection::vec, prelude::*};

use super::{connected, receive};
use crate::{
    Channel, Device, MsgFlags,
    driver::test::{Message, TestDriver, memory},
};

#[derive(Clone, Debug)]
enum Op {
    /// The guest sends that many bytes and memories.
    GuestSend(usize, usize),
    /// The guest receives into that much room.
    GuestRecv(usize),
    /// The host sends, VFDs in a message of their own first or not.
    HostSend(usize, usize, bool),
    /// The host receives one message.
    HostRecv,
    HostClose,
}

fn op() -> impl Strategy<Value = Op> {
    let size = || prop_oneof![1_usize..20, 3900_usize..4000];
    let count = || prop_oneof![3 => Just(0_usize), 1 => 1_usize..=28];
    prop_oneof![
        4 => (size(), count()).prop_map(|(size, fds)| Op::GuestSend(size, fds)),
        4 => size().prop_map(Op::GuestRecv),
        4 => (size(), count(), any::<bool>())
            .prop_map(|(size, fds, apart)| Op::HostSend(size, fds, apart)),
        4 => Just(Op::HostRecv),
        1 => Just(Op::HostClose),
    ]
}

/// A stream as its reader has seen it.
#[derive(Debug, Default, PartialEq)]
struct Log {
    bytes: Vec<u8>,
    /// Sizes of the memories, each a different one.
    fds: Vec<u64>,
}

impl Log {
    fn add(&mut self, data: &[u8], fds: impl IntoIterator<Item = impl AsFd>) {
        self.bytes.extend_from_slice(data);
        self.fds.extend(fds.into_iter().map(size));
    }
}

fn size(fd: impl AsFd) -> u64 {
    fstat(fd).expect("open").st_size.unsigned_abs()
}

fn socket_send(fd: &OwnedFd, data: &[u8], sizes: &[u64]) -> nix::Result<usize> {
    let memories: Vec<_> = sizes.iter().map(|size| memory(b"", *size)).collect();
    let raw: Vec<RawFd> = memories
        .iter()
        .map(|memory| memory.fd.as_raw_fd())
        .collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[] } else { &rights[..] };
    let flags = SocketFlags::MSG_NOSIGNAL;
    sendmsg::<()>(fd.as_raw_fd(), &[IoSlice::new(data)], control, flags, None)
}

fn socket_recv(fd: &OwnedFd, room: usize, log: &mut Log) -> nix::Result<usize> {
    let mut data = vec![0; room];
    let mut control = nix::cmsg_space!([RawFd; 28]);
    let mut bufs = [IoSliceMut::new(&mut data)];
    let flags = SocketFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(fd.as_raw_fd(), &mut bufs, Some(&mut control), flags)?;
    let count = message.bytes;
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = control {
            fds.extend(received.into_iter().map(own));
        }
    }
    log.add(&data[..count], fds);
    Ok(count)
}

#[allow(unsafe_code)]
fn own(raw: RawFd) -> OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: recvmsg has just opened it, and nobody else knows the number.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

/// Both streams, and what was read from each: of the channel first, then of the socket.
struct World {
    device: Device,
    channel: Channel,
    key: u64,
    driver: Arc<TestDriver>,
    socket_guest: OwnedFd,
    socket_host: Option<OwnedFd>,
    next: u64,
    guest: [Log; 2],
    host: [Log; 2],
}

impl World {
    fn new() -> Self {
        let (device, channel, key, driver) = connected();
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (socket_guest, socket_host) =
            socketpair(AddressFamily::Unix, SockType::Stream, None, flags).expect("sockets");
        Self {
            device,
            channel,
            key,
            driver,
            socket_guest,
            socket_host: Some(socket_host),
            next: 0,
            guest: Default::default(),
            host: Default::default(),
        }
    }

    /// Memories are told apart by their sizes, bytes by their position.
    fn payload(&mut self, len: usize, fds: usize) -> (Vec<u8>, Vec<u64>) {
        let first = self.next;
        self.next += (len + fds) as u64;
        let bytes = (0..len as u64).map(|n| (first + n) as u8).collect();
        // Whole pages, which allocation does not round.
        let sizes = (0..fds as u64).map(|n| (first + n + 1) * 4096).collect();
        (bytes, sizes)
    }

    fn guest_send(&mut self, len: usize, fds: usize) {
        let (data, sizes) = self.payload(len, fds);
        let memories: Vec<_> = sizes
            .iter()
            .map(|size| self.device.allocate(*size).expect("memory"))
            .collect();
        let borrowed: Vec<_> = memories.iter().map(AsFd::as_fd).collect();
        let bufs = [IoSlice::new(&data)];
        let ours = self.channel.send(&bufs, &borrowed, MsgFlags::DONTWAIT);
        // A short count is the one difference allowed: both get the same bytes then.
        let count = *ours.as_ref().unwrap_or(&data.len());
        assert_eq!(
            count,
            data.len().min(if ours.is_ok() { 3968 } else { 4096 })
        );
        let theirs = socket_send(&self.socket_guest, &data[..count], &sizes);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs),
            (Err(ours), Err(theirs)) => assert_eq!(ours.raw_os_error(), Some(theirs as i32)),
            other => panic!("{other:?}"),
        }
    }

    fn guest_recv(&mut self, room: usize) {
        // How much one call merges may differ; what is there to merge may not.
        let behind = self.guest[0].bytes.len() < self.guest[1].bytes.len();
        let ahead = self.guest[0].bytes.len() > self.guest[1].bytes.len();
        let ours = receive(&self.channel, room);
        let theirs = socket_recv(&self.socket_guest, room, &mut self.guest[1]);
        match &theirs {
            Ok(0) | Err(nix::Error::EAGAIN) if behind => assert!(ours.is_ok()),
            Ok(0) => assert!(matches!(&ours, Ok((data, _)) if data.is_empty())),
            Err(nix::Error::EAGAIN) => {
                assert_eq!(ours.as_ref().unwrap_err().kind(), ErrorKind::WouldBlock);
            }
            Ok(_) if ahead => {}
            Ok(_) => assert!(matches!(&ours, Ok((data, _)) if !data.is_empty())),
            Err(errno) => panic!("{errno}"),
        }
        if let Ok((data, fds)) = ours {
            self.guest[0].add(&data, fds);
        }
    }

    fn host_send(&mut self, len: usize, fds: usize, apart: bool) {
        let (data, sizes) = self.payload(len, fds);
        let Some(host) = &self.socket_host else {
            return;
        };
        socket_send(host, &data, &sizes).expect("room");
        let mut vfds: Vec<_> = sizes.iter().map(|size| memory(b"", *size)).collect();
        if apart && !vfds.is_empty() {
            let ahead = std::mem::take(&mut vfds);
            self.driver.push(self.key, Message::new(b"", ahead));
        }
        self.driver.push(self.key, Message::new(&data, vfds));
    }

    fn host_recv(&mut self) {
        if let Some(message) = self.driver.take_sent(self.key) {
            self.host[0].add(&message.data, message.fds);
        }
        if let Some(host) = &self.socket_host {
            match socket_recv(host, 4096, &mut self.host[1]) {
                Ok(_) | Err(nix::Error::EAGAIN) => {}
                Err(errno) => panic!("{errno}"),
            }
        }
    }

    fn host_close(&mut self) {
        // Closed with unread data, a socket tells its peer so (ECONNRESET). A VFD has no way to.
        if let Some(host) = self.socket_host.take() {
            while socket_recv(&host, 4096, &mut self.host[1]).is_ok() {}
            while let Some(message) = self.driver.take_sent(self.key) {
                self.host[0].add(&message.data, message.fds);
            }
            self.driver.hang_up(self.key);
        }
    }

    /// Reads everything left, after which both streams must have been the same.
    fn finish(mut self) {
        self.host_close();
        loop {
            let (data, fds) = receive(&self.channel, 4096).expect("data or the end");
            if data.is_empty() {
                break;
            }
            self.guest[0].add(&data, fds);
        }
        let theirs = &mut self.guest[1];
        while socket_recv(&self.socket_guest, 4096, theirs).expect("data or the end") > 0 {}
        let [ours, theirs] = self.guest;
        assert_eq!(ours, theirs, "host to guest");
        let [ours, theirs] = self.host;
        assert_eq!(ours, theirs, "guest to host");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_channel_is_a_socket(ops in vec(op(), 1..40)) {
        let mut world = World::new();
        for op in ops {
            match op {
                Op::GuestSend(len, fds) => world.guest_send(len, fds),
                Op::GuestRecv(room) => world.guest_recv(room),
                Op::HostSend(len, fds, apart) => world.host_send(len, fds, apart),
                Op::HostRecv => world.host_recv(),
                Op::HostClose => world.host_close(),
            }
        }
        world.finish();
    }
}
