//! The client's side of a pool: a file that the client may change, truncate or
//! never have filled.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statfs::{FsType, fstatfs};

/// File systems whose reads wait for another process or machine, which could
/// hold up every client of this relay for as long as it likes.
const REMOTE: [FsType; 5] = [
    nix::sys::statfs::FUSE_SUPER_MAGIC,
    nix::sys::statfs::NFS_SUPER_MAGIC,
    FsType(0x0102_1997), // 9p
    FsType(0xff53_4d42), // cifs
    FsType(0xfe53_4d42), // smb2
];

/// The file behind a `wl_shm_pool`, kept while a buffer of it exists.
#[derive(Debug)]
pub struct PoolFile {
    fd: OwnedFd,
    /// Bytes that the client says are in use, 1 to `i32::MAX`.
    size: Cell<i32>,
    /// Counts the files of one client.
    _count: Count,
}

/// Why a descriptor cannot back a pool.
#[derive(Debug, thiserror::Error)]
pub enum BadFile {
    /// It cannot be examined.
    #[error("cannot examine the file")]
    Examine(#[from] nix::Error),
    /// It is a pipe, a socket, a device, …
    #[error("not a regular file")]
    NotRegular,
    /// It is open for writing only.
    #[error("not open for reading")]
    NotReadable,
    /// It is of a file system that may block.
    #[error("on a remote or user-space file system")]
    Remote,
}

impl PoolFile {
    /// Takes a client's descriptor for a pool of `size` bytes.
    ///
    /// Like a compositor's `mmap`, this does not ask how long the file is: it
    /// may grow until it is used.
    ///
    /// # Errors
    /// [`BadFile`] when reading it could fail for good, or block.
    pub fn new(fd: OwnedFd, size: i32, files: &FileCount) -> Result<Self, BadFile> {
        let kind = SFlag::from_bits_truncate(fstat(&fd)?.st_mode) & SFlag::S_IFMT;
        if kind != SFlag::S_IFREG {
            return Err(BadFile::NotRegular);
        }
        let flags = OFlag::from_bits_truncate(fcntl(&fd, FcntlArg::F_GETFL)?);
        if flags & OFlag::O_ACCMODE == OFlag::O_WRONLY || flags.contains(OFlag::O_PATH) {
            return Err(BadFile::NotReadable);
        }
        if REMOTE.contains(&fstatfs(&fd)?.filesystem_type()) {
            return Err(BadFile::Remote);
        }
        Ok(Self {
            fd,
            size: Cell::new(size),
            _count: files.one_more(),
        })
    }

    /// Bytes of the pool.
    #[must_use]
    pub fn size(&self) -> i32 {
        self.size.get()
    }

    /// Grows the pool.
    ///
    /// Nothing is mapped, so this is all there is to it: the next copy reads
    /// the file as it is then.
    pub fn resize(&self, size: i32) {
        debug_assert!(size >= self.size.get());
        self.size.set(size);
    }
}

impl AsFd for PoolFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// How many files a client keeps open in the relay.
#[derive(Debug, Default)]
pub struct FileCount(Rc<Cell<usize>>);

impl FileCount {
    /// Files open now.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.get()
    }

    fn one_more(&self) -> Count {
        self.0.set(self.0.get() + 1);
        Count(Rc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Count(Rc<Cell<usize>>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Why a buffer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is shorter than the buffer: a compositor would get `SIGBUS`.
    #[error("the file ends inside the buffer")]
    Truncated,
    /// The file cannot be read.
    #[error("cannot read the file")]
    Io(#[from] io::Error),
}
