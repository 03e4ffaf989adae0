//! A device, its guest, and the host's listening socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use integration_tests::wait::{self, Deadline};
use integration_tests::{Binaries, Command, Daemon, TestDir};
use virtio_wl::{Channel, Device, DeviceAddress, MsgFlags, Vfd};

use crate::host::Peer;

/// One device process with one guest: this process.
pub(crate) struct Setup {
    // Before the daemon, so that its end is an ordinary one.
    pub(crate) device: Device,
    pub(crate) listener: UnixListener,
    pub(crate) daemon: Daemon,
    pub(crate) dir: TestDir,
}

impl Setup {
    /// A device whose default context is a socket of this process.
    pub(crate) fn new() -> Result<Self> {
        Self::with(TestDir::new()?, |command, _| command)
    }

    /// A device with further options, in a directory that may have something in it.
    pub(crate) fn with(
        dir: TestDir,
        options: impl FnOnce(Command, &TestDir) -> Command,
    ) -> Result<Self> {
        let listener = UnixListener::bind(dir.join("host.sock")).context("listening socket")?;
        let binary = Binaries::beside_this_one()?.path("vhost-device-wl")?;
        let command = Command::new("device", binary, dir.path())
            .option("--socket", dir.join("device.sock"))
            .option("--wayland-sock", dir.join("host.sock"));
        let daemon = options(command, &dir).spawn_ready()?;
        let device = Device::open_address(&DeviceAddress::VhostUser(dir.join("device.sock")))?;
        // Tests poll channels as any program would.
        device.spawn_dispatcher()?;
        Ok(Self {
            device,
            listener,
            daemon,
            dir,
        })
    }

    /// A connection: the guest's end and the host's.
    pub(crate) fn connect(&self) -> Result<(Channel, Peer)> {
        let channel = self.device.connect("")?;
        let (socket, _) = self.listener.accept().context("the device's connection")?;
        socket.set_read_timeout(Some(wait::STEP))?;
        socket.set_write_timeout(Some(wait::STEP))?;
        Ok((channel, Peer(socket)))
    }
}

/// Sends everything, descriptors with the first byte.
pub(crate) fn send_all(
    channel: &Channel,
    mut data: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut fds = fds;
    while !data.is_empty() {
        let sent = channel.send(&[IoSlice::new(data)], fds, MsgFlags::empty())?;
        assert!(sent > 0 && sent <= data.len());
        data = &data[sent..];
        fds = &[];
    }
    Ok(())
}

/// Receives once, waiting for no longer than a step may take; nothing at the end.
pub(crate) fn receive(channel: &Channel, room: usize) -> Result<(Vec<u8>, Vec<Vfd>)> {
    let deadline = Deadline::step();
    loop {
        match try_receive(channel, room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait::readable(&[channel.as_fd()], deadline)?;
            }
            result => return Ok(result?),
        }
    }
}

/// Receives what is there.
pub(crate) fn try_receive(channel: &Channel, room: usize) -> io::Result<(Vec<u8>, Vec<Vfd>)> {
    let mut data = vec![0; room];
    let mut fds = Vec::new();
    let count = channel.recv(
        &mut [IoSliceMut::new(&mut data)],
        &mut fds,
        MsgFlags::DONTWAIT,
    )?;
    data.truncate(count);
    Ok((data, fds))
}

/// Receives until there are that many bytes.
pub(crate) fn receive_exact(channel: &Channel, len: usize) -> Result<(Vec<u8>, Vec<Vfd>)> {
    let (mut data, mut fds) = (Vec::new(), Vec::new());
    while data.len() < len {
        let (more, more_fds) = receive(channel, len - data.len())?;
        anyhow::ensure!(!more.is_empty(), "ended after {} of {len}", data.len());
        data.extend(more);
        fds.extend(more_fds);
    }
    Ok((data, fds))
}

/// Repeats a send until it fails: a peer's end is seen once the device has told of it.
pub(crate) fn error_of_sending(channel: &Channel) -> Result<io::Error> {
    let deadline = Instant::now() + wait::STEP;
    loop {
        match channel.send(&[IoSlice::new(b"?")], &[], MsgFlags::DONTWAIT) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Ok(error),
        }
        anyhow::ensure!(Instant::now() < deadline, "sending goes on and on");
        // The device's answer makes the channel readable; until then there is nothing to wait for.
        let _ = wait::readable(
            &[channel.as_fd()],
            Deadline::after(Duration::from_millis(20)),
        );
    }
}

/// Bytes that are told apart by their position.
pub(crate) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}
