//! The driver for a program in a VM: ioctls of the guest kernel's virtio_wl.
//!
//! VFDs are files of the kernel, so nothing is kept here. Much of what looks odd works around
//! habits of the published kernel drivers; each is named where it matters.

mod sys;

#[cfg(test)]
mod tests;

use std::{
    fs::OpenOptions,
    io::{self, IoSlice, IoSliceMut},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFlags, PollTimeout},
};

#[cfg(feature = "host")]
pub(crate) use self::sys::REQUESTS;
use self::sys::{Calls, Kernel, NewKind, Txn};
use super::{Driver, NewVfd};
use crate::{
    error::{Error, Result},
    limits::{MAX_CHUNK, MAX_MEMORY_SIZE, MAX_VFDS_PER_MESSAGE, PAGE_SIZE},
    wire::{ContextName, PipeDirection, VfdKind},
};

/// What /proc says of a VFD.
const VFD_LINK: &str = "anon_inode:[virtwl_vfd]";

/// What /proc says of a fence.
const FENCE_LINK: &str = "anon_inode:sync_file";

/// A received descriptor of which nothing can be told: passed on, but neither read nor written.
const UNKNOWN: VfdKind = VfdKind::Pipe {
    read: false,
    write: false,
};

/// An open device node.
#[derive(Debug)]
pub(crate) struct KernelDriver<C = Kernel> {
    device: OwnedFd,
    calls: C,
}

impl KernelDriver {
    /// Opens a device node.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_CLOEXEC.bits())
            .open(path)
            .map_err(|source| Error::Open {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            device: device.into(),
            calls: Kernel,
        })
    }
}

/// Whether a descriptor is a VFD of a kernel's driver, whichever device it belongs to.
pub(crate) fn is_vfd(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(Kernel.link(fd)?.as_os_str() == VFD_LINK)
}

impl<C: Calls> KernelDriver<C> {
    fn create(&self, kind: NewKind) -> io::Result<OwnedFd> {
        // A descriptor is there only when the reply said so; the ring being full for a second
        // (EBUSY) is no reason to give up what a longer wait would have had.
        retry(|| self.calls.create(self.device.as_fd(), kind))
    }

    /// What a VFD is. Its file tells no type: only memory can be mapped, and the access mode is what
    /// the device said.
    fn kind(&self, vfd: BorrowedFd<'_>) -> io::Result<VfdKind> {
        if let Some(size) = self.memory_size(vfd)? {
            return Ok(VfdKind::Memory { size });
        }
        let flags = OFlag::from_bits_retain(fcntl(vfd, FcntlArg::F_GETFL)?);
        Ok(match flags & OFlag::O_ACCMODE {
            OFlag::O_RDWR => VfdKind::Socket,
            OFlag::O_WRONLY => VfdKind::Pipe {
                read: false,
                write: true,
            },
            _ => VfdKind::Pipe {
                read: true,
                write: false,
            },
        })
    }

    /// Size of a VFD's memory; `None` when it has none.
    ///
    /// Our driver tells it as that of a file. The published ones do not, but mapping does: they
    /// check the offset of a mapping against the size, so the last page that can be mapped is found
    /// by halving, and the size is in whole pages.
    fn memory_size(&self, vfd: BorrowedFd<'_>) -> io::Result<Option<u64>> {
        if let Ok(size @ 1..) = self.calls.end(vfd) {
            return Ok(Some(size));
        }
        match self.calls.try_map_page(vfd, 0) {
            Ok(()) => {}
            Err(Errno::EACCES | Errno::ENODEV) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        // `have` pages can be mapped, and no more than `most`.
        let (mut have, mut most) = (1, MAX_MEMORY_SIZE / PAGE_SIZE);
        while have < most {
            let middle = (have + most).div_ceil(2);
            match self.calls.try_map_page(vfd, (middle - 1) * PAGE_SIZE) {
                Ok(()) => have = middle,
                Err(Errno::EINVAL) => most = middle - 1,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(Some(have * PAGE_SIZE))
    }

    /// Whether the VFD has hung up: what tells a dead connection from a wrong call.
    fn has_hung_up(&self, vfd: BorrowedFd<'_>) -> bool {
        self.calls
            .poll(vfd, PollFlags::empty(), PollTimeout::ZERO)
            .is_ok_and(|events| events.contains(PollFlags::POLLHUP))
    }

    /// Waits for `events` or fails with `EAGAIN`. The O_NONBLOCK flag of a pipe is left alone: it
    /// belongs to whoever it is handed to.
    fn ready(&self, vfd: BorrowedFd<'_>, events: PollFlags, nonblock: bool) -> nix::Result<()> {
        let timeout = if nonblock {
            PollTimeout::ZERO
        } else {
            PollTimeout::NONE
        };
        match self.calls.poll(vfd, events, timeout)? {
            none if none.is_empty() => Err(Errno::EAGAIN),
            _ => Ok(()),
        }
    }
}

impl<C: Calls> Driver for KernelDriver<C> {
    fn new_context(&self, name: &ContextName) -> io::Result<NewVfd> {
        let kind = if name.is_default() {
            NewKind::Context
        } else {
            NewKind::NamedContext(name.to_wire())
        };
        let fd = self.create(kind)?;
        never_wait_inside(&fd)?;
        Ok(NewVfd {
            fd,
            kind: VfdKind::Socket,
        })
    }

    fn new_memory(&self, size: u32) -> io::Result<NewVfd> {
        Ok(NewVfd {
            fd: self.create(NewKind::Memory(size))?,
            kind: VfdKind::Memory {
                size: u64::from(size),
            },
        })
    }

    fn new_pipe(&self, direction: PipeDirection) -> io::Result<NewVfd> {
        let (kind, read) = match direction {
            PipeDirection::Read => (NewKind::PipeRead, true),
            PipeDirection::Write => (NewKind::PipeWrite, false),
        };
        Ok(NewVfd {
            fd: self.create(kind)?,
            // Not asked of the file: stock devices do not say which end it is.
            kind: VfdKind::Pipe { read, write: !read },
        })
    }

    fn send(
        &self,
        vfd: BorrowedFd<'_>,
        bufs: &[IoSlice<'_>],
        vfds: &[BorrowedFd<'_>],
        nonblock: bool,
    ) -> io::Result<usize> {
        if vfds.len() > MAX_VFDS_PER_MESSAGE {
            return Err(Errno::EINVAL.into());
        }
        let mut txn = Txn::new();
        let mut sent = 0;
        for buf in bufs {
            let take = buf.len().min(MAX_CHUNK - sent);
            txn.data[sent..sent + take].copy_from_slice(&buf[..take]);
            sent += take;
        }
        txn.len = u32::try_from(sent).map_err(|_| Errno::EINVAL)?;
        for (slot, fd) in txn.fds.iter_mut().zip(vfds) {
            *slot = fd.as_raw_fd();
        }
        loop {
            // Says that the ring has room, and nothing about the peer.
            let result = self
                .ready(vfd, PollFlags::POLLOUT, nonblock)
                .and_then(|()| self.calls.send(vfd, &txn));
            return match result {
                Ok(()) => Ok(sent),
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN | Errno::EBUSY) if nonblock => Err(Errno::EAGAIN.into()),
                Err(Errno::EAGAIN | Errno::EBUSY) => continue,
                Err(Errno::ENODEV) => Err(Errno::EPIPE.into()),
                Err(Errno::EINVAL) if self.has_hung_up(vfd) => Err(Errno::EPIPE.into()),
                Err(Errno::EBADFD) => Err(Errno::EBADF.into()),
                Err(errno) => Err(errno.into()),
            };
        }
    }

    fn recv(
        &self,
        vfd: BorrowedFd<'_>,
        bufs: &mut [IoSliceMut<'_>],
        out: &mut Vec<NewVfd>,
        nonblock: bool,
    ) -> io::Result<usize> {
        let room: usize = bufs.iter().map(|buf| buf.len()).sum();
        let room = room.min(MAX_CHUNK);
        if room == 0 {
            return Err(Errno::EINVAL.into());
        }
        let mut txn = Txn::new();
        let fds = retry(|| {
            self.ready(vfd, PollFlags::POLLIN, nonblock)?;
            txn.len = u32::try_from(room).map_err(|_| Errno::EINVAL)?;
            self.calls.recv(vfd, &mut txn)
        })?;
        let count = usize::try_from(txn.len)
            .ok()
            .filter(|&count| count <= room)
            .ok_or(Errno::EPROTO)?;
        if count == 0 && fds.is_empty() && !self.has_hung_up(vfd) {
            // Descriptors came without bytes, and there was no number free for them: the driver
            // has dropped them, and what it returned only looks like the end.
            return Err(Errno::EMFILE.into());
        }
        scatter(&txn.data[..count], bufs);
        out.extend(fds.into_iter().map(|fd| {
            // The bytes have been taken from the stream: no error may lose them.
            let kind = self.identify(fd.as_fd()).unwrap_or_else(|error| {
                tracing::warn!("cannot tell what was received: {error}");
                None
            });
            if kind == Some(VfdKind::Socket)
                && let Err(error) = never_wait_inside(&fd)
            {
                tracing::warn!("sending on a received socket may wait: {error}");
            }
            NewVfd {
                fd,
                kind: kind.unwrap_or(UNKNOWN),
            }
        }));
        Ok(count)
    }

    fn identify(&self, fd: BorrowedFd<'_>) -> io::Result<Option<VfdKind>> {
        let link = self.calls.link(fd)?;
        if link.as_os_str() == VFD_LINK {
            self.kind(fd).map(Some)
        } else if link.as_os_str() == FENCE_LINK {
            Ok(Some(VfdKind::Fence))
        } else {
            Ok(None)
        }
    }

    fn is_vfd(&self, fd: BorrowedFd<'_>) -> io::Result<bool> {
        let link = self.calls.link(fd)?;
        Ok(link.as_os_str() == VFD_LINK || link.as_os_str() == FENCE_LINK)
    }

    fn refresh(&self, vfd: BorrowedFd<'_>) -> io::Result<u64> {
        retry(|| match self.calls.refresh(vfd) {
            // An unknown ioctl: of the driver, or of the device behind it.
            Err(Errno::ENOTTY) => Err(Errno::EOPNOTSUPP),
            result => result,
        })
    }

    fn event_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn dispatch(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps SEND from waiting inside the kernel, by a flag that all duplicates share.
///
/// Without it our driver waits for the device's answer, which is late when the peer does not read.
/// Callers who want to wait are made to by poll(2).
fn never_wait_inside(socket: &OwnedFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(socket, FcntlArg::F_GETFL)?);
    fcntl(socket, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Repeats a call that a signal or a full ring has interrupted.
fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR | Errno::EBUSY) => {}
            result => return Ok(result?),
        }
    }
}

/// Copies received bytes to where the caller wants them; there is room for all.
fn scatter(mut bytes: &[u8], bufs: &mut [IoSliceMut<'_>]) {
    for buf in bufs {
        let take = buf.len().min(bytes.len());
        let (front, rest) = bytes.split_at(take);
        buf[..take].copy_from_slice(front);
        bytes = rest;
    }
}
