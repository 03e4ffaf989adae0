//! A thousand messages of every shape, exact to the byte and to the descriptor.

use std::os::fd::AsFd as _;
use std::thread;

use anyhow::{Result, ensure};
use virtio_wl::limits::MAX_VFDS_PER_MESSAGE;
use virtio_wl::{Channel, Device, Memory, Vfd};

use crate::host::{Peer, content, memfd};
use crate::setup::{Setup, pattern, receive, send_all};

const MESSAGES: u64 = 1000;
/// Messages sent before the receiver says that it has them. The device bounds what waits for a
/// peer; a sender that is answered, as every Wayland client is, never gets there.
const WINDOW: u64 = 10;

/// One message: its bytes, and how many memories go with it.
struct Shape {
    data: Vec<u8>,
    fds: usize,
}

/// From one byte to several chunks, without descriptors, with some, with as many as there can be.
fn shape(number: u64) -> Shape {
    let len = match number % 5 {
        0 => 1,
        1 => 12,
        2 => 3968,
        3 => 3969 + (number as usize * 37) % 6000,
        _ => 1 + (number as usize * 101) % 4096,
    };
    let fds = match number % 20 {
        7 => MAX_VFDS_PER_MESSAGE,
        3 | 11 | 17 => 1 + (number as usize / 20) % 5,
        _ => 0,
    };
    Shape {
        data: pattern(number, len),
        fds,
    }
}

/// What a memory holds, so that it can be told apart.
fn mark(number: u64, index: usize) -> [u8; 16] {
    let mut mark = [0; 16];
    mark[..8].copy_from_slice(&number.to_le_bytes());
    mark[8..].copy_from_slice(&(index as u64).to_le_bytes());
    mark
}

/// The whole stream, as the receiver must see it: bytes, and each descriptor with its position.
#[derive(Default)]
struct Expected {
    bytes: Vec<u8>,
    fds: Vec<(usize, [u8; 16])>,
}

fn expected() -> Expected {
    let mut all = Expected::default();
    for number in 0..MESSAGES {
        let shape = shape(number);
        let position = all.bytes.len();
        all.fds
            .extend((0..shape.fds).map(|index| (position, mark(number, index))));
        all.bytes.extend(shape.data);
    }
    all
}

/// Checks what arrives as it arrives.
struct Check {
    expected: Expected,
    bytes: usize,
    fds: usize,
    /// Ends of the messages.
    windows: Vec<usize>,
}

impl Check {
    fn new() -> Self {
        let mut windows = Vec::new();
        let mut end = 0;
        for number in 0..MESSAGES {
            end += shape(number).data.len();
            if (number + 1) % WINDOW == 0 {
                windows.push(end);
            }
        }
        windows.reverse();
        Self {
            expected: expected(),
            bytes: 0,
            fds: 0,
            windows,
        }
    }

    fn done(&self) -> bool {
        self.bytes == self.expected.bytes.len()
    }

    /// Takes what one call received; how many windows it has finished.
    fn take(&mut self, data: &[u8], marks: impl IntoIterator<Item = [u8; 16]>) -> Result<usize> {
        ensure!(!data.is_empty(), "ended after {} bytes", self.bytes);
        let end = self.bytes + data.len();
        ensure!(
            self.expected.bytes.get(self.bytes..end) == Some(data),
            "other bytes between {} and {end}",
            self.bytes
        );
        self.bytes = end;
        for mark in marks {
            let (_, wanted) = self.expected.fds[self.fds];
            ensure!(mark == wanted, "descriptor {} is another", self.fds);
            self.fds += 1;
        }
        // Never later than the first byte they were sent with.
        if let Some((position, _)) = self.expected.fds.get(self.fds) {
            ensure!(*position >= end, "descriptor {} is late", self.fds);
        }
        let before = self.windows.len();
        while self.windows.last().is_some_and(|window| *window <= end) {
            self.windows.pop();
        }
        Ok(before - self.windows.len())
    }
}

fn guest_sends(device: &Device, channel: &Channel) -> Result<()> {
    for number in 0..MESSAGES {
        let shape = shape(number);
        let memories = (0..shape.fds)
            .map(|index| {
                let memory = device.allocate(16)?;
                memory.map()?.write(0, &mark(number, index))?;
                Ok(memory)
            })
            .collect::<Result<Vec<Memory>>>()?;
        let fds: Vec<_> = memories.iter().map(|memory| memory.as_fd()).collect();
        send_all(channel, &shape.data, &fds)?;
        if (number + 1) % WINDOW == 0 {
            ensure!(receive(channel, 1)?.0 == [1], "no answer");
        }
    }
    Ok(())
}

fn host_receives(peer: &Peer) -> Result<()> {
    let mut check = Check::new();
    while !check.done() {
        let (data, fds) = peer.receive(5000)?;
        let marks = fds
            .into_iter()
            .map(|fd| {
                let bytes = content(fd)?;
                ensure!(bytes.len() == 4096, "a page was asked for");
                Ok(bytes[..16].try_into()?)
            })
            .collect::<Result<Vec<_>>>()?;
        for _ in 0..check.take(&data, marks)? {
            peer.send_all(&[1], &[])?;
        }
    }
    ensure!(check.fds == check.expected.fds.len(), "descriptors missing");
    Ok(())
}

fn host_sends(peer: &Peer) -> Result<()> {
    for number in 0..MESSAGES {
        let shape = shape(number);
        let memories = (0..shape.fds)
            .map(|index| memfd(&mark(number, index)))
            .collect::<Result<Vec<_>>>()?;
        let fds: Vec<_> = memories.iter().map(|memory| memory.as_fd()).collect();
        peer.send_all(&shape.data, &fds)?;
    }
    Ok(())
}

fn guest_receives(channel: &Channel) -> Result<()> {
    let mut check = Check::new();
    while !check.done() {
        let (data, vfds) = receive(channel, 5000)?;
        let marks = vfds
            .into_iter()
            .map(|vfd| {
                let Vfd::Memory(memory) = vfd else {
                    anyhow::bail!("no memory");
                };
                ensure!(memory.size() == 16, "size {}", memory.size());
                let mut mark = [0; 16];
                memory.map()?.read(0, &mut mark)?;
                Ok(mark)
            })
            .collect::<Result<Vec<_>>>()?;
        check.take(&data, marks)?;
    }
    ensure!(check.fds == check.expected.fds.len(), "descriptors missing");
    Ok(())
}

#[test]
fn guest_to_host() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    thread::scope(|scope| {
        let receiver = scope.spawn(|| host_receives(&peer));
        let sent = guest_sends(&setup.device, &channel);
        receiver.join().expect("no panic")?;
        sent
    })
}

#[test]
fn host_to_guest() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    thread::scope(|scope| {
        let sender = scope.spawn(|| host_sends(&peer));
        let received = guest_receives(&channel);
        sender.join().expect("no panic")?;
        received
    })
}

#[test]
fn both_ways_at_once_on_three_connections() -> Result<()> {
    let setup = Setup::new()?;
    let connections = (0..3)
        .map(|_| Ok((setup.connect()?, setup.connect()?)))
        .collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let mut all = Vec::new();
        for ((out, out_peer), (back, back_peer)) in &connections {
            all.push(scope.spawn(|| guest_sends(&setup.device, out)));
            all.push(scope.spawn(|| host_receives(out_peer)));
            all.push(scope.spawn(|| host_sends(back_peer)));
            all.push(scope.spawn(|| guest_receives(back)));
        }
        for thread in all {
            thread.join().expect("no panic")?;
        }
        Ok(())
    })
}
