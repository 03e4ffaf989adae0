//! The programs on the host side.

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::eventfd::EventFd;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::ops::PeerFd;

/// The bytes peer number `peer` sends, from the `from`th on.
pub(super) fn pattern(peer: usize, from: u64) -> impl Iterator<Item = u8> {
    (from..).map(move |i| (i.wrapping_mul(31) >> 3) as u8 ^ peer as u8)
}

#[derive(Debug, Default)]
pub(super) struct Peers {
    /// `None`: gone.
    all: Vec<Option<Peer>>,
    same: Option<File>,
}

#[derive(Debug)]
struct Peer {
    socket: UnixStream,
    sent: u64,
}

impl Peers {
    /// A new peer: its number, and the end the device gets.
    pub(super) fn connect(&mut self) -> (usize, OwnedFd) {
        let (near, far) = UnixStream::pair().expect("descriptors");
        near.set_nonblocking(true).expect("a socket");
        self.all.push(Some(Peer {
            socket: near,
            sent: 0,
        }));
        (self.all.len() - 1, far.into())
    }

    pub(super) fn send(&mut self, peer: usize, len: usize, kinds: &[PeerFd]) {
        let count = self.all.len();
        if count == 0 {
            return;
        }
        let fds: Vec<OwnedFd> = kinds.iter().map(|kind| self.make(*kind)).collect();
        let number = peer % count;
        let Some(peer) = &mut self.all[number] else {
            return;
        };
        let bytes: Vec<u8> = pattern(number, peer.sent).take(len.max(1)).collect();
        let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let rights: &[_] = if raw.is_empty() { &[] } else { &rights };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let iov = [IoSlice::new(&bytes)];
        // A device that does not read, or has left, is none of the peer's business.
        if let Ok(n) = sendmsg::<()>(peer.socket.as_raw_fd(), &iov, rights, flags, None) {
            peer.sent += n as u64;
        }
    }

    pub(super) fn grow(&mut self, by: u16) {
        let file = self.same();
        let size = file.metadata().expect("a file").len();
        file.set_len(size + u64::from(by)).expect("memory");
    }

    fn same(&mut self) -> &File {
        self.same
            .get_or_insert_with(|| memfd(4096, SealFlag::empty()))
    }

    pub(super) fn receive(&mut self, peer: usize) {
        let count = self.all.len();
        if count > 0
            && let Some(peer) = &mut self.all[peer % count]
        {
            // Descriptors that come along are closed by the kernel.
            let mut buf = [0; 4096];
            while peer.socket.read(&mut buf).is_ok_and(|n| n > 0) {}
        }
    }

    pub(super) fn leave(&mut self, peer: usize) {
        let count = self.all.len();
        if count > 0 {
            self.all[peer % count] = None;
        }
    }

    fn make(&mut self, kind: PeerFd) -> OwnedFd {
        match kind {
            PeerFd::Memory => memfd(8192, SealFlag::empty()).into(),
            PeerFd::SameMemory => self.same().try_clone().expect("descriptors").into(),
            PeerFd::Sealed => memfd(5000, SealFlag::F_SEAL_WRITE).into(),
            PeerFd::ReadEnd => {
                let (reader, writer) = nix::unistd::pipe().expect("descriptors");
                File::from(writer)
                    .write_all(b"pipe")
                    .expect("an empty pipe");
                reader
            }
            PeerFd::DeadEnd => nix::unistd::pipe().expect("descriptors").1,
            PeerFd::Socket => UnixStream::pair().expect("descriptors").0.into(),
            PeerFd::Odd => EventFd::new()
                .expect("descriptors")
                .as_fd()
                .try_clone_to_owned()
                .expect("descriptors"),
        }
    }
}

fn memfd(size: u64, seals: SealFlag) -> File {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = File::from(memfd_create("peer", flags).expect("memory"));
    file.set_len(size).expect("memory");
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).expect("a memfd");
    file
}
