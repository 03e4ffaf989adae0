//! A device, a guest and a host, for the tests.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
};

use anyhow::Result;
use integration_tests::{
    Binaries, Command, Daemon, TestDir,
    wait::{self, Deadline},
};
use virtio_wl::{Channel, Device, DeviceAddress, MsgFlags, Vfd};

/// A device with one context, behind which the test listens.
pub(crate) struct Bench {
    pub(crate) daemon: Daemon,
    pub(crate) listener: UnixListener,
    pub(crate) socket: PathBuf,
    _dir: TestDir,
}

impl Bench {
    pub(crate) fn new() -> Result<Self> {
        Self::with_args(&[])
    }

    pub(crate) fn with_args(args: &[&str]) -> Result<Self> {
        let dir = TestDir::new()?;
        let (socket, host) = (dir.join("device"), dir.join("host"));
        let listener = UnixListener::bind(&host)?;
        let program = Binaries::beside_this_one()?.path("vhost-device-wl")?;
        let daemon = Command::new("device", program, dir.path())
            .option("--socket", &socket)
            .option("--wayland-sock", &host)
            .args(args)
            .spawn_ready()?;
        Ok(Self {
            daemon,
            listener,
            socket,
            _dir: dir,
        })
    }

    /// A guest that dispatches in the background. A test that waits for the host on the guest's only
    /// thread needs that: the device may be waiting for the guest meanwhile, to undo a mapping.
    pub(crate) fn open_dispatched(&self) -> Result<Device> {
        let device = self.open()?;
        device.spawn_dispatcher()?;
        Ok(device)
    }

    pub(crate) fn open(&self) -> Result<Device> {
        let address = DeviceAddress::VhostUser(self.socket.clone());
        Ok(Device::open_address(&address)?)
    }

    /// A connection: the guest's end and the host's.
    pub(crate) fn connect(&self, device: &Device) -> Result<(Channel, UnixStream)> {
        let channel = device.connect("")?;
        wait::readable(&[self.listener.as_fd()], Deadline::step())?;
        let (host, _) = self.listener.accept()?;
        host.set_read_timeout(Some(wait::STEP))?;
        Ok((channel, host))
    }
}

pub(crate) fn send(channel: &Channel, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    channel.send(&[IoSlice::new(bytes)], fds, MsgFlags::empty())
}

pub(crate) fn send_all(channel: &Channel, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = send(channel, bytes, &[])?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

pub(crate) fn recv(channel: &Channel, len: usize) -> io::Result<(Vec<u8>, Vec<Vfd>)> {
    let mut bytes = vec![0; len];
    let mut vfds = Vec::new();
    let count = channel.recv(
        &mut [IoSliceMut::new(&mut bytes)],
        &mut vfds,
        MsgFlags::empty(),
    )?;
    bytes.truncate(count);
    Ok((bytes, vfds))
}
