//! Making descriptors fit for sending: virtio_wl carries nothing but VFDs.
//!
//! What is no VFD is converted when it is sent, afresh each time, so that two receivers never share
//! memory neither of them owns. Nothing is taken from the original until the message has gone: a
//! failed send can be repeated.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl, open},
    sys::{
        stat::{FileStat, Mode, SFlag, fstat},
        uio::pread,
    },
};

use crate::{
    device::Inner,
    limits::MAX_MEMORY_SIZE,
    memory::Memory,
    pump::{Job, Pump},
    stream::StreamState,
    wire::PipeDirection,
};

#[cfg(test)]
mod tests;

/// Bytes copied at once into shared memory.
const COPY_BUFFER_SIZE: usize = 64 * 1024;

/// The descriptors of one message, all of them VFDs now.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    items: Vec<Item<'a>>,
}

#[derive(Debug)]
enum Item<'a> {
    /// Was a VFD already.
    Vfd(BorrowedFd<'a>),
    /// A copy, which the receiver holds from then on.
    Copy(Memory),
    /// Our end of a pipe VFD; the other end goes.
    Pipe(Job),
}

impl<'a> Outgoing<'a> {
    /// Converts what needs converting. Pipes count as of `stream` for as long as they flow.
    pub(crate) fn prepare(
        device: &Inner,
        stream: &StreamState,
        fds: &[BorrowedFd<'a>],
    ) -> io::Result<Self> {
        let items = fds
            .iter()
            .map(|&fd| Item::new(device, stream.pumped(), fd))
            .collect::<io::Result<Vec<_>>>()?;
        let jobs = items.iter().filter(|item| matches!(item, Item::Pipe(_)));
        device.pump.check_room(jobs.count())?;
        stream.check_pumped()?;
        Ok(Self { items })
    }

    /// What the driver is to send.
    pub(crate) fn vfds(&self) -> Vec<BorrowedFd<'_>> {
        self.items
            .iter()
            .map(|item| match item {
                Item::Vfd(fd) => *fd,
                Item::Copy(memory) => memory.as_fd(),
                Item::Pipe(job) => job.vfd(),
            })
            .collect()
    }

    /// The message has gone: pipes begin to flow.
    pub(crate) fn sent(self, pump: &Pump) {
        for item in self.items {
            if let Item::Pipe(job) = item {
                pump.start(job);
            }
        }
    }
}

impl<'a> Item<'a> {
    fn new(device: &Inner, pumped: &Arc<()>, fd: BorrowedFd<'a>) -> io::Result<Self> {
        if device.driver.is_vfd(fd)? {
            return Ok(Self::Vfd(fd));
        }
        let stat = fstat(fd)?;
        match file_type(&stat) {
            SFlag::S_IFREG => copy_memory(device, fd, &stat).map(Self::Copy),
            SFlag::S_IFIFO => take_pipe(device, pumped, fd).map(Self::Pipe),
            other => Err(refuse(match other {
                SFlag::S_IFSOCK => "a socket",
                SFlag::S_IFDIR => "a directory",
                SFlag::S_IFCHR => "a character device",
                SFlag::S_IFBLK => "a block device",
                // eventfd, epoll, timerfd, sync_file, dma-buf ...: no file type at all.
                _ => "an anonymous kernel object",
            })),
        }
    }
}

fn file_type(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn refuse(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{what} cannot be sent over virtio_wl"),
    )
}

/// Copies ordinary memory, sealed and read-only as it may be, into shared memory of its own.
fn copy_memory(device: &Inner, fd: BorrowedFd<'_>, stat: &FileStat) -> io::Result<Memory> {
    let size = u64::try_from(stat.st_size)
        .ok()
        .filter(|&size| size <= MAX_MEMORY_SIZE)
        .ok_or(Errno::EFBIG)?;
    let memory = device.allocate(size)?;
    let mapping = memory.map()?;
    // The file may shrink or grow meanwhile: what is missing stays zero, what is new stays behind.
    let mut buffer = vec![0; COPY_BUFFER_SIZE];
    let mut offset = 0;
    while offset < size {
        let left = usize::try_from(size - offset).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
        let at = libc::off_t::try_from(offset).map_err(|_| Errno::EFBIG)?;
        match pread(fd, &mut buffer[..want], at) {
            Ok(0) => break,
            Ok(count) => {
                let to = usize::try_from(offset).map_err(|_| Errno::EFBIG)?;
                mapping.write(to, &buffer[..count])?;
                offset += count as u64;
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(memory)
}

/// Makes the pipe VFD through which the peer uses an ordinary pipe.
fn take_pipe(device: &Inner, pumped: &Arc<()>, fd: BorrowedFd<'_>) -> io::Result<Job> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    match flags & OFlag::O_ACCMODE {
        // The peer writes: we read from it and write here.
        OFlag::O_WRONLY => {
            let vfd = device.new_pipe(PipeDirection::Read)?;
            let pipe = own_description(fd, OFlag::O_WRONLY)?;
            Ok(Job::from_peer(vfd, pipe, Arc::clone(pumped)))
        }
        OFlag::O_RDONLY => {
            let vfd = device.new_pipe(PipeDirection::Write)?;
            let pipe = own_description(fd, OFlag::O_RDONLY)?;
            Ok(Job::to_peer(vfd, pipe, Arc::clone(pumped)))
        }
        _ => Err(refuse("a FIFO open in both directions")),
    }
}

/// Opens the same pipe end once more, non-blocking.
///
/// A duplicate would share the O_NONBLOCK flag with the program, which may not want it.
fn own_description(fd: BorrowedFd<'_>, access: OFlag) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;

    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = access | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    match open(path.as_str(), flags, Mode::empty()) {
        Ok(own) => Ok(own),
        Err(errno) => {
            // No /proc, or no right to open by it. The pump asks poll(2) before each call and never
            // moves more than a page, so a blocking duplicate only waits when the program uses the
            // same end at the same time.
            tracing::debug!("pipe is shared with its owner: {errno}");
            fd.try_clone_to_owned()
        }
    }
}
