//! The file descriptor that stands for a stream VFD: the read end of a pipe.
//!
//! A pipe read end shows what a kernel VFD shows: readable, hung up, neither. It has an identity
//! that duplicates share, and its write end learns when the last duplicate anywhere is closed.
//! No data passes through it: it holds one byte, the token, while there is something to receive.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::stat::fstat,
    unistd::{pipe2, read, write},
};

/// Which file a descriptor refers to; the same for all its duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file behind `fd`.
    pub(super) fn of(fd: impl AsFd) -> io::Result<Self> {
        let stat = fstat(fd)?;
        Ok(Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        })
    }
}

/// Our end of the pipe behind a stream VFD.
#[derive(Debug)]
pub(super) struct TokenPipe {
    write: OwnedFd,
    token: bool,
}

impl TokenPipe {
    /// Creates a pipe; the other end is for the user of the VFD.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        Ok((
            Self {
                write,
                token: false,
            },
            read,
        ))
    }

    /// Makes the user's end readable.
    pub(super) fn raise(&mut self) {
        if self.token {
            return;
        }
        match write(&self.write, &[0]) {
            // Full: somebody else's bytes are in there, which make it readable as well.
            Ok(_) | Err(Errno::EAGAIN) => self.token = true,
            // Nobody is left to read; close detection is about to find out.
            Err(Errno::EPIPE) => {}
            Err(errno) => tracing::error!(%errno, "cannot write a token"),
        }
    }

    /// Makes the user's end not readable. `reader` is any duplicate of that end.
    pub(super) fn lower(&mut self, reader: BorrowedFd<'_>) {
        if !std::mem::take(&mut self.token) {
            return;
        }
        match read(reader, &mut [0]) {
            // Gone already: somebody read(2) from a VFD.
            Ok(_) | Err(Errno::EAGAIN) => {}
            Err(errno) => tracing::error!(%errno, "cannot take a token back"),
        }
    }

    /// Whether the last duplicate of the user's end is closed.
    pub(super) fn is_abandoned(&self) -> bool {
        let mut fds = [PollFd::new(self.write.as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::ZERO).is_ok()
            && fds[0]
                .revents()
                .is_some_and(|events| events.contains(PollFlags::POLLERR))
    }
}

impl AsFd for TokenPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.write.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(fd: impl AsFd) -> PollFlags {
        let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap();
        fds[0].revents().unwrap()
    }

    #[test]
    fn a_token_makes_readable() {
        let (mut pipe, user) = TokenPipe::new().unwrap();
        assert_eq!(events(&user), PollFlags::empty());
        pipe.raise();
        pipe.raise();
        assert_eq!(events(&user), PollFlags::POLLIN);
        pipe.lower(user.as_fd());
        assert_eq!(events(&user), PollFlags::empty());
    }

    #[test]
    fn dropping_our_end_hangs_up() {
        let (pipe, user) = TokenPipe::new().unwrap();
        drop(pipe);
        assert_eq!(events(&user), PollFlags::POLLHUP);
    }

    #[test]
    fn abandoned_with_the_last_duplicate() {
        let (pipe, user) = TokenPipe::new().unwrap();
        let duplicate = user.try_clone().unwrap();
        drop(user);
        assert!(!pipe.is_abandoned());
        drop(duplicate);
        assert!(pipe.is_abandoned());
    }

    #[test]
    fn a_stolen_token_is_survived() {
        let (mut pipe, user) = TokenPipe::new().unwrap();
        pipe.raise();
        assert_eq!(read(&user, &mut [0; 8]), Ok(1));
        pipe.lower(user.as_fd());
        pipe.raise();
        assert_eq!(events(&user), PollFlags::POLLIN);
    }

    #[test]
    fn duplicates_share_their_identity() {
        let (_pipe, user) = TokenPipe::new().unwrap();
        let (_other_pipe, other) = TokenPipe::new().unwrap();
        let duplicate = user.try_clone().unwrap();
        assert_eq!(FileId::of(&user).unwrap(), FileId::of(&duplicate).unwrap());
        assert_ne!(FileId::of(&user).unwrap(), FileId::of(&other).unwrap());
    }
}
