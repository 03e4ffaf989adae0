//! `/dev/wl0` and its VFDs, as `linux/virtwl.h` has them.

use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::PollFlags;
use nix::sys::stat::{FileStat, fstat};

use crate::sys;
use crate::waiting;

/// Most descriptors in one message.
pub(crate) const MAX_FDS: usize = 28;

/// Bytes of data that fit one message whatever its descriptors.
pub(crate) const MESSAGE: usize = 3968;

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

/// What NEW can make.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    /// A connection to the default context.
    Context,
    /// A connection to this context.
    Named(&'a str),
    /// Memory of so many bytes.
    Memory(u32),
    /// A pipe this end reads.
    PipeRead,
    /// A pipe this end writes.
    PipeWrite,
    /// A dmabuf of 0 × 0.
    Dmabuf,
    /// Any type number.
    Other(u32),
}

/// `struct virtwl_ioctl_new`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct NewArgument {
    pub(crate) kind: u32,
    pub(crate) fd: i32,
    pub(crate) flags: u32,
    pub(crate) arm: [u8; 36],
}

impl NewArgument {
    pub(crate) fn new(kind: Kind<'_>) -> Self {
        let mut arm = [0; 36];
        let kind = match kind {
            Kind::Context => 0,
            Kind::Memory(size) => {
                arm[..4].copy_from_slice(&size.to_ne_bytes());
                1
            }
            Kind::PipeRead => 2,
            Kind::PipeWrite => 3,
            Kind::Dmabuf => 4,
            Kind::Named(name) => {
                arm[..name.len()].copy_from_slice(name.as_bytes());
                5
            }
            Kind::Other(number) => number,
        };
        Self {
            kind,
            fd: -1,
            flags: 0,
            arm,
        }
    }
}

/// The open device.
#[derive(Debug)]
pub(crate) struct Device(OwnedFd);

impl Device {
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        Self::open_with(path, 0)
    }

    /// With more flags than O_RDWR.
    pub(crate) fn open_with(path: &Path, flags: libc::c_int) -> std::io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path)?;
        Ok(Self(file.into()))
    }

    pub(crate) fn create(&self, kind: Kind<'_>) -> nix::Result<Vfd> {
        sys::ioctl_new(self.0.as_fd(), &mut NewArgument::new(kind)).map(Vfd)
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What one RECV brought.
#[derive(Debug, Default)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fds: Vec<Vfd>,
}

/// A descriptor that the driver handed out.
#[derive(Debug)]
pub(crate) struct Vfd(OwnedFd);

impl Vfd {
    /// SEND without descriptors.
    pub(crate) fn send(&self, bytes: &[u8]) -> nix::Result<()> {
        self.send_fds(bytes, &[])
    }

    /// SEND.
    pub(crate) fn send_fds(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> nix::Result<()> {
        sys::ioctl_send(self.as_fd(), bytes, fds)
    }

    /// RECV, which waits only if the driver does.
    pub(crate) fn recv(&self, room: usize) -> nix::Result<Message> {
        let (bytes, fds) = sys::ioctl_recv(self.as_fd(), room)?;
        Ok(Message {
            bytes,
            fds: fds.into_iter().map(Vfd).collect(),
        })
    }

    /// RECV once there is something, in bounded time.
    pub(crate) fn recv_soon(&self, room: usize) -> anyhow::Result<Message> {
        waiting::readable(self)?;
        Ok(self.recv(room)?)
    }

    /// Exactly so many bytes and descriptors, by as many RECVs as it takes.
    pub(crate) fn recv_exactly(&self, bytes: usize, fds: usize) -> anyhow::Result<Message> {
        let mut all = Message::default();
        while all.bytes.len() < bytes || all.fds.len() < fds {
            let room = (bytes - all.bytes.len()).clamp(1, MESSAGE);
            let part = self.recv_soon(room)?;
            anyhow::ensure!(
                !part.bytes.is_empty() || !part.fds.is_empty(),
                "end of stream after {} of {bytes} bytes and {} of {fds} descriptors",
                all.bytes.len(),
                all.fds.len()
            );
            all.bytes.extend(part.bytes);
            all.fds.extend(part.fds);
        }
        anyhow::ensure!(
            all.bytes.len() == bytes && all.fds.len() == fds,
            "more than {bytes} bytes and {fds} descriptors: {} and {}",
            all.bytes.len(),
            all.fds.len()
        );
        Ok(all)
    }

    /// Sends bytes to an echo and takes them back.
    pub(crate) fn echo(&self, bytes: &[u8]) -> anyhow::Result<()> {
        self.send(bytes)?;
        let back = self.recv_exactly(bytes.len(), 0)?;
        anyhow::ensure!(back.bytes == bytes, "the echo is another");
        Ok(())
    }

    pub(crate) fn read(&self, room: usize) -> nix::Result<Vec<u8>> {
        let mut bytes = vec![0; room];
        let got = nix::unistd::read(self, &mut bytes)?;
        bytes.truncate(got);
        Ok(bytes)
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> nix::Result<usize> {
        nix::unistd::write(self, bytes)
    }

    /// What poll(2) says right now.
    pub(crate) fn poll(&self, events: PollFlags) -> nix::Result<PollFlags> {
        waiting::poll_now(self, events)
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> nix::Result<()> {
        let flags = if nonblocking {
            OFlag::O_NONBLOCK
        } else {
            OFlag::empty()
        };
        fcntl(self, FcntlArg::F_SETFL(flags)).map(drop)
    }

    /// F_GETFL.
    pub(crate) fn status_flags(&self) -> nix::Result<OFlag> {
        fcntl(self, FcntlArg::F_GETFL).map(OFlag::from_bits_retain)
    }

    pub(crate) fn stat(&self) -> nix::Result<FileStat> {
        fstat(self)
    }

    pub(crate) fn size(&self) -> anyhow::Result<usize> {
        Ok(usize::try_from(self.stat()?.st_size)?)
    }

    pub(crate) fn duplicate(&self) -> std::io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// VIRTWL_IOCTL_REFRESH; the size now.
    pub(crate) fn refresh(&self) -> nix::Result<u64> {
        sys::ioctl_refresh(self.as_fd())
    }

    /// VIRTWL_IOCTL_DMABUF_SYNC.
    pub(crate) fn dmabuf_sync(&self, flags: u32) -> Result<(), Errno> {
        sys::ioctl_dmabuf_sync(self.as_fd(), flags)
    }
}

impl AsFd for Vfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Vfd {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

const _: () = assert!(size_of::<NewArgument>() == 48);
