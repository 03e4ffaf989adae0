//! The embedded driver against the real device: no VM, everything else as it is.

use std::{
    io::{self, IoSlice, IoSliceMut, Read as _, Write as _},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    thread,
};

use anyhow::{Result, ensure};
use integration_tests::{
    Binaries, Command, Daemon, TestDir, scm,
    wait::{self, Deadline},
};
use nix::sys::uio::{pread, pwrite};
use virtio_wl::{Channel, Device, DeviceAddress, MsgFlags, Vfd};

/// A device with one context, behind which the test listens.
struct Bench {
    daemon: Daemon,
    listener: UnixListener,
    socket: PathBuf,
    _dir: TestDir,
}

impl Bench {
    fn new() -> Result<Self> {
        Self::with_args(&[])
    }

    fn with_args(args: &[&str]) -> Result<Self> {
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

    fn open(&self) -> Result<Device> {
        let address = DeviceAddress::VhostUser(self.socket.clone());
        Ok(Device::open_address(&address)?)
    }

    /// A connection: the guest's end and the host's.
    fn connect(&self, device: &Device) -> Result<(Channel, UnixStream)> {
        let channel = device.connect("")?;
        wait::readable(&[self.listener.as_fd()], Deadline::step())?;
        let (host, _) = self.listener.accept()?;
        host.set_read_timeout(Some(wait::STEP))?;
        Ok((channel, host))
    }
}

fn send(channel: &Channel, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    channel.send(&[IoSlice::new(bytes)], fds, MsgFlags::empty())
}

fn send_all(channel: &Channel, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = send(channel, bytes, &[])?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

fn recv(channel: &Channel, len: usize) -> io::Result<(Vec<u8>, Vec<Vfd>)> {
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

#[test]
fn bytes_travel_both_ways() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (channel, mut host) = bench.connect(&device)?;

    assert_eq!(send(&channel, b"to the host", &[])?, 11);
    let mut bytes = [0; 11];
    host.read_exact(&mut bytes)?;
    assert_eq!(&bytes, b"to the host");

    host.write_all(b"to the guest")?;
    assert_eq!(recv(&channel, 64)?.0, b"to the guest");

    drop(host);
    assert_eq!(recv(&channel, 64)?.0, b"");
    let error = send(&channel, b"x", &[]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    Ok(())
}

#[test]
fn a_megabyte_each_way_is_intact() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (channel, mut host) = bench.connect(&device)?;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| ((n * 7) >> 3) as u8).collect();

    let echo = thread::spawn(move || -> io::Result<()> {
        let mut held = vec![0; 1_000_000];
        host.read_exact(&mut held)?;
        host.write_all(&held)
    });
    send_all(&channel, &sent)?;
    let mut received = Vec::new();
    while received.len() < sent.len() {
        let (bytes, _) = recv(&channel, 50_000)?;
        ensure!(!bytes.is_empty(), "ended early");
        received.extend(bytes);
    }
    assert!(received == sent);
    echo.join().expect("echo thread")?;
    Ok(())
}

#[test]
fn memory_is_shared_with_the_host() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (channel, host) = bench.connect(&device)?;

    let memory = device.allocate(10_000)?;
    assert_eq!(memory.size(), 12_288);
    pwrite(memory.as_fd(), b"guest wrote", 5000)?;
    send(&channel, b"m", &[memory.as_fd()])?;

    let (bytes, fds) = scm::recv(&host, 64)?;
    assert_eq!((bytes.as_slice(), fds.len()), (&b"m"[..], 1));
    let mut read = [0; 11];
    pread(&fds[0], &mut read, 5000)?;
    assert_eq!(&read, b"guest wrote");

    pwrite(&fds[0], b"host wrote", 100)?;
    let mut read = [0; 10];
    pread(memory.as_fd(), &mut read, 100)?;
    assert_eq!(&read, b"host wrote");
    Ok(())
}
