//! What a descriptor received from a host peer is.
//!
//! Classification never fails and never drops a message: whatever is not
//! understood becomes [`Descriptor::Odd`], which a guest sees as a dead VFD.

use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{self, AddressFamily, SockType, SockaddrLike, sockopt};
use nix::sys::stat::{SFlag, fstat};

use super::sys;

#[cfg(test)]
mod tests;

/// A received descriptor, by what can be done with it.
#[derive(Debug)]
pub enum Descriptor {
    /// A file with pages: memfd, tmpfs or disk file.
    Memory {
        /// The file.
        fd: OwnedFd,
        /// It was opened for writing.
        writable: bool,
    },
    /// One end of a pipe or FIFO.
    Pipe {
        /// This end.
        fd: OwnedFd,
        /// The guest can receive from it.
        read: bool,
        /// The guest can send to it.
        write: bool,
    },
    /// A connected Unix stream socket.
    Socket(OwnedFd),
    /// A sync file: readable once signalled.
    Fence(OwnedFd),
    /// Anything else: eventfds, terminals, datagram sockets, DMA buffers, directories.
    Odd(OwnedFd),
}

/// Finds out what `fd` is, by asking the kernel only (never the peer).
#[must_use]
pub fn classify(fd: OwnedFd) -> Descriptor {
    let Ok(stat) = fstat(&fd) else {
        return Descriptor::Odd(fd);
    };
    let (read, write) = access(&fd);
    match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG if read => Descriptor::Memory {
            fd,
            writable: write,
        },
        SFlag::S_IFIFO if read || write => Descriptor::Pipe { fd, read, write },
        SFlag::S_IFSOCK if is_unix_stream(&fd) => Descriptor::Socket(fd),
        _ if is_sync_file(&fd) => Descriptor::Fence(fd),
        _ => Descriptor::Odd(fd),
    }
}

fn access(fd: &OwnedFd) -> (bool, bool) {
    let Ok(flags) = fcntl(fd, FcntlArg::F_GETFL) else {
        return (false, false);
    };
    let flags = OFlag::from_bits_retain(flags);
    if flags.contains(OFlag::O_PATH) {
        return (false, false);
    }
    match flags & OFlag::O_ACCMODE {
        OFlag::O_RDONLY => (true, false),
        OFlag::O_WRONLY => (false, true),
        OFlag::O_RDWR => (true, true),
        _ => (false, false),
    }
}

fn is_unix_stream(fd: &OwnedFd) -> bool {
    let stream = matches!(
        socket::getsockopt(fd, sockopt::SockType),
        Ok(SockType::Stream)
    );
    let unix = socket::getsockname::<socket::SockaddrStorage>(sys::number(fd))
        .is_ok_and(|addr| addr.family() == Some(AddressFamily::Unix));
    let listening = matches!(socket::getsockopt(fd, sockopt::AcceptConn), Ok(true));
    stream && unix && !listening
}

/// A sync file is an anonymous inode of that name. The path of a real file
/// starts with a slash, so nobody can create a file that looks like one.
fn is_sync_file(fd: &OwnedFd) -> bool {
    let path = format!("/proc/self/fd/{}", sys::number(fd.as_fd()));
    nix::fcntl::readlink(path.as_str()).is_ok_and(|target| target == "anon_inode:sync_file")
}
