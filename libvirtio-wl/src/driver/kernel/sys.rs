//! The system calls of the kernel driver, and the layout of what they take.
//!
//! There is no manual page: layouts and numbers are those of `linux/virtwl.h` as the published
//! kernel drivers have it.
#![allow(unsafe_code)]

use std::{
    fmt,
    num::NonZeroUsize,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    path::PathBuf,
    ptr,
};

use nix::{
    errno::Errno,
    fcntl::readlink,
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    request_code_read, request_code_readwrite, request_code_write,
    sys::{
        ioctl::ioctl_num_type,
        mman::{MapFlags, ProtFlags, mmap, munmap},
    },
    unistd::{Whence, lseek},
};

use crate::limits::{CONTEXT_NAME_SIZE, MAX_CHUNK, MAX_VFDS_PER_MESSAGE, PAGE_SIZE};

/// First byte of all ioctl numbers.
const MAGIC: u8 = b'w';

/// `VIRTWL_IOCTL_NEW`.
pub(super) const IOCTL_NEW: ioctl_num_type =
    request_code_readwrite!(MAGIC, 0, size_of::<NewArgument>());

/// `VIRTWL_IOCTL_SEND`. The header declares SEND as reading and RECV as writing.
pub(super) const IOCTL_SEND: ioctl_num_type = request_code_read!(MAGIC, 1, TXN_HEADER_SIZE);

/// `VIRTWL_IOCTL_RECV`.
pub(super) const IOCTL_RECV: ioctl_num_type = request_code_write!(MAGIC, 2, TXN_HEADER_SIZE);

/// `VIRTWL_IOCTL_REFRESH`, an extension of this project.
pub(super) const IOCTL_REFRESH: ioctl_num_type = request_code_read!(MAGIC, 0x10, size_of::<u64>());

/// All of them, as a filter of system calls sees them.
#[cfg(feature = "host")]
pub(crate) const REQUESTS: [u32; 4] = [
    IOCTL_NEW as u32,
    IOCTL_SEND as u32,
    IOCTL_RECV as u32,
    IOCTL_REFRESH as u32,
];

/// Size of `struct virtwl_ioctl_txn` without its data, which follows in line.
pub(super) const TXN_HEADER_SIZE: usize = 4 * MAX_VFDS_PER_MESSAGE + 4;

/// What to make: the `type` of `struct virtwl_ioctl_new`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewKind {
    /// `VIRTWL_IOCTL_NEW_CTX`.
    Context,
    /// `VIRTWL_IOCTL_NEW_ALLOC`, of this many bytes.
    Memory(u32),
    /// `VIRTWL_IOCTL_NEW_PIPE_READ`: the guest reads.
    PipeRead,
    /// `VIRTWL_IOCTL_NEW_PIPE_WRITE`: the guest writes.
    PipeWrite,
    /// `VIRTWL_IOCTL_NEW_CTX_NAMED`, by a NUL-padded name.
    NamedContext([u8; CONTEXT_NAME_SIZE]),
}

/// `struct virtwl_ioctl_new`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct NewArgument {
    /// One of the types 0 to 5.
    pub(super) kind: u32,
    /// Filled in by the driver.
    pub(super) fd: i32,
    /// Ignored by the driver; 0.
    pub(super) flags: u32,
    /// A union: `size` is its first word, `name` its first 32 bytes.
    pub(super) arm: [u8; 36],
}

impl NewArgument {
    pub(super) fn new(kind: NewKind) -> Self {
        let mut new = Self {
            kind: 0,
            fd: -1,
            flags: 0,
            arm: [0; 36],
        };
        new.kind = match kind {
            NewKind::Context => 0,
            NewKind::Memory(size) => {
                new.arm[..4].copy_from_slice(&size.to_ne_bytes());
                1
            }
            NewKind::PipeRead => 2,
            NewKind::PipeWrite => 3,
            NewKind::NamedContext(name) => {
                new.arm[..name.len()].copy_from_slice(&name);
                5
            }
        };
        new
    }
}

/// `struct virtwl_ioctl_txn` with room for one message's data.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Txn {
    /// Unused entries are -1.
    pub(super) fds: [i32; MAX_VFDS_PER_MESSAGE],
    /// Bytes of data: what is there to send, or room and then what was received.
    pub(super) len: u32,
    pub(super) data: [u8; MAX_CHUNK],
}

impl Txn {
    pub(super) const fn new() -> Self {
        Self {
            fds: [-1; MAX_VFDS_PER_MESSAGE],
            len: 0,
            data: [0; MAX_CHUNK],
        }
    }
}

impl fmt::Debug for Txn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Txn")
            .field("fds", &self.fds)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

const _: () = {
    assert!(size_of::<NewArgument>() == 48);
    assert!(TXN_HEADER_SIZE == 116);
    assert!(std::mem::offset_of!(Txn, data) == TXN_HEADER_SIZE);
};

/// What the driver needs of the kernel, so that its logic can be tested without one.
pub(crate) trait Calls: Send + Sync + fmt::Debug {
    /// `VIRTWL_IOCTL_NEW` on the device.
    fn create(&self, device: BorrowedFd<'_>, kind: NewKind) -> nix::Result<OwnedFd>;

    /// `VIRTWL_IOCTL_SEND`: all or nothing.
    fn send(&self, vfd: BorrowedFd<'_>, txn: &Txn) -> nix::Result<()>;

    /// `VIRTWL_IOCTL_RECV` into `txn`, whose `len` says how much room there is; the descriptors.
    fn recv(&self, vfd: BorrowedFd<'_>, txn: &mut Txn) -> nix::Result<Vec<OwnedFd>>;

    /// poll(2) of one descriptor.
    fn poll(
        &self,
        fd: BorrowedFd<'_>,
        events: PollFlags,
        timeout: PollTimeout,
    ) -> nix::Result<PollFlags>;

    /// What /proc says the descriptor is.
    fn link(&self, fd: BorrowedFd<'_>) -> nix::Result<PathBuf>;

    /// `VIRTWL_IOCTL_REFRESH`: the size of a VFD's memory, as the device says it is now.
    fn refresh(&self, vfd: BorrowedFd<'_>) -> nix::Result<u64>;

    /// Where a file ends, by lseek(2).
    fn end(&self, fd: BorrowedFd<'_>) -> nix::Result<u64>;

    /// Whether the page at `offset` can be mapped.
    fn try_map_page(&self, fd: BorrowedFd<'_>, offset: u64) -> nix::Result<()>;
}

/// The kernel itself.
#[derive(Debug)]
pub(crate) struct Kernel;

impl Calls for Kernel {
    fn create(&self, device: BorrowedFd<'_>, kind: NewKind) -> nix::Result<OwnedFd> {
        let mut new = NewArgument::new(kind);
        // SAFETY: IOCTL_NEW reads and writes exactly a `NewArgument`, which outlives the call.
        Errno::result(unsafe {
            libc::ioctl(device.as_raw_fd(), IOCTL_NEW, ptr::from_mut(&mut new))
        })?;
        if new.fd < 0 {
            return Err(Errno::EPROTO);
        }
        // SAFETY: the driver has just opened this descriptor for us, and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(new.fd) })
    }

    fn send(&self, vfd: BorrowedFd<'_>, txn: &Txn) -> nix::Result<()> {
        debug_assert!(txn.len as usize <= txn.data.len());
        // SAFETY: IOCTL_SEND reads the header and `len` bytes behind it, all of them within `txn`,
        // and writes nothing.
        Errno::result(unsafe { libc::ioctl(vfd.as_raw_fd(), IOCTL_SEND, ptr::from_ref(txn)) })
            .map(drop)
    }

    fn recv(&self, vfd: BorrowedFd<'_>, txn: &mut Txn) -> nix::Result<Vec<OwnedFd>> {
        // The driver spins for ever on a length of 0.
        if txn.len == 0 || txn.len as usize > txn.data.len() {
            return Err(Errno::EINVAL);
        }
        // Left untouched when the driver cannot open descriptors.
        txn.fds = [-1; MAX_VFDS_PER_MESSAGE];
        // SAFETY: IOCTL_RECV writes the header and at most `len` bytes behind it, all of them
        // within `txn`.
        Errno::result(unsafe { libc::ioctl(vfd.as_raw_fd(), IOCTL_RECV, ptr::from_mut(txn)) })?;
        Ok(txn
            .fds
            .iter()
            .take_while(|&&fd| fd >= 0)
            // SAFETY: as in `create`.
            .map(|&fd| unsafe { OwnedFd::from_raw_fd(fd) })
            .collect())
    }

    fn poll(
        &self,
        fd: BorrowedFd<'_>,
        events: PollFlags,
        timeout: PollTimeout,
    ) -> nix::Result<PollFlags> {
        let mut fds = [PollFd::new(fd, events)];
        poll(&mut fds, timeout)?;
        Ok(fds[0].revents().unwrap_or(PollFlags::empty()))
    }

    fn link(&self, fd: BorrowedFd<'_>) -> nix::Result<PathBuf> {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        readlink(path.as_str()).map(PathBuf::from)
    }

    fn refresh(&self, vfd: BorrowedFd<'_>) -> nix::Result<u64> {
        let mut size = 0_u64;
        // SAFETY: IOCTL_REFRESH writes exactly a `u64`, which outlives the call.
        Errno::result(unsafe {
            libc::ioctl(vfd.as_raw_fd(), IOCTL_REFRESH, ptr::from_mut(&mut size))
        })?;
        Ok(size)
    }

    fn end(&self, fd: BorrowedFd<'_>) -> nix::Result<u64> {
        let end = lseek(fd, 0, Whence::SeekEnd)?;
        u64::try_from(end).map_err(|_| Errno::EOVERFLOW)
    }

    fn try_map_page(&self, fd: BorrowedFd<'_>, offset: u64) -> nix::Result<()> {
        let length = usize::try_from(PAGE_SIZE)
            .ok()
            .and_then(NonZeroUsize::new)
            .ok_or(Errno::EINVAL)?;
        let offset = libc::off_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
        // SAFETY: the kernel chooses the place, so no existing mapping is touched.
        let address = unsafe {
            mmap(
                None,
                length,
                ProtFlags::PROT_READ,
                MapFlags::MAP_SHARED,
                fd,
                offset,
            )
        }?;
        // SAFETY: exactly what was mapped above; nothing refers to it.
        unsafe { munmap(address, length.get()) }
    }
}
