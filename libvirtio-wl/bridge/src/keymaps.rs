//! Keymaps on their way to a VM.
//!
//! Each keyboard object is sent a keymap, which costs shared memory of *this*
//! VM's quota for as long as anyone holds it, and only the receiver knows how long
//! that is. A VM that reconnects and never lets go must not use up what the
//! clients of others need. So a VM gets a number of fresh copies, one for each
//! client as it should be, and when they are used up one copy for all its clients.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::sys::stat::{SFlag, fstat};

/// Fresh copies for one VM as long as the compositor runs: at 64 KiB each, 64 MiB.
const FRESH: u32 = 1024;

/// Different keymaps of which one copy for all is kept.
const MAX_SHARED: usize = 4;

/// Longest keymap. Real ones have 60 KiB.
const MAX_BYTES: usize = 1 << 20;

/// What one VM has been sent.
#[derive(Debug)]
pub(crate) struct Keymaps {
    fresh: Cell<u32>,
    /// Contents, and the copy for all clients.
    shared: RefCell<Vec<(Vec<u8>, OwnedFd)>>,
}

impl Default for Keymaps {
    fn default() -> Self {
        Self {
            fresh: Cell::new(FRESH),
            shared: RefCell::default(),
        }
    }
}

/// A descriptor to be sent.
#[derive(Debug)]
pub(crate) enum Outgoing<'a> {
    /// As it is; memory is copied afresh by the channel.
    Own(BorrowedFd<'a>),
    /// The copy for all.
    Shared(OwnedFd),
}

impl AsFd for Outgoing<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(fd) => *fd,
            Self::Shared(fd) => fd.as_fd(),
        }
    }
}

impl Keymaps {
    /// What to send in place of `fds`, and how many fresh copies that takes.
    /// `allocate` makes memory that can be sent as it is, with these bytes in it.
    pub(crate) fn prepare<'a>(
        &self,
        fds: &[BorrowedFd<'a>],
        allocate: impl Fn(&[u8]) -> io::Result<OwnedFd>,
    ) -> io::Result<(Vec<Outgoing<'a>>, u32)> {
        let mut fresh = 0;
        let mut out = Vec::with_capacity(fds.len());
        for &fd in fds {
            let memory = fstat(fd)?.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits();
            if memory && fresh >= self.fresh.get() {
                out.push(Outgoing::Shared(self.shared(fd, &allocate)?));
            } else {
                fresh += u32::from(memory);
                out.push(Outgoing::Own(fd));
            }
        }
        Ok((out, fresh))
    }

    /// Notes that fresh copies were sent.
    pub(crate) fn sent(&self, fresh: u32) {
        self.fresh.set(self.fresh.get().saturating_sub(fresh));
    }

    fn shared(
        &self,
        fd: BorrowedFd<'_>,
        allocate: impl Fn(&[u8]) -> io::Result<OwnedFd>,
    ) -> io::Result<OwnedFd> {
        let bytes = contents(fd)?;
        let mut shared = self.shared.borrow_mut();
        if let Some((_, copy)) = shared.iter().find(|(known, _)| *known == bytes) {
            return copy.try_clone();
        }
        if shared.len() == MAX_SHARED {
            return Err(io::Error::other("too many different keymaps"));
        }
        let copy = allocate(&bytes)?;
        let result = copy.try_clone();
        shared.push((bytes, copy));
        result
    }
}

fn contents(fd: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let file = File::from(fd.try_clone_to_owned()?);
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if size == 0 || size > MAX_BYTES {
        return Err(io::Error::other("not the size of a keymap"));
    }
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
