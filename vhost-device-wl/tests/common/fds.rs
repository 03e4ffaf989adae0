//! Descriptors: made, borrowed, sent and received.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::PATIENCE;

#[allow(unsafe_code)]
pub fn borrow<'a>(fd: i32) -> std::os::fd::BorrowedFd<'a> {
    // SAFETY: the crate keeps the descriptor open during the handler's call.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }
}

#[allow(unsafe_code)]
pub fn own(fd: i32) -> File {
    use std::os::fd::FromRawFd;
    // SAFETY: just created by fcntl.
    unsafe { File::from_raw_fd(fd) }
}

pub fn memfd(size: u64, seals: i32) -> File {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let fd = memfd_create("test", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
    let file = File::from(fd);
    file.set_len(size).unwrap();
    fcntl(
        &file,
        FcntlArg::F_ADD_SEALS(SealFlag::from_bits_retain(seals)),
    )
    .unwrap();
    file
}

/// Accepts, or panics after a while.
pub fn accept(listener: &UnixListener) -> UnixStream {
    let mut fds = [PollFd::new(borrow(listener.as_raw_fd()), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(PATIENCE).unwrap();
    assert_eq!(poll(&mut fds, timeout).unwrap(), 1, "nobody connects");
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes with descriptors.
pub fn send_fds(stream: &UnixStream, bytes: &[u8], fds: &[i32]) {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    let iov = [std::io::IoSlice::new(bytes)];
    let rights = [ControlMessage::ScmRights(fds)];
    let sent = sendmsg::<()>(stream.as_raw_fd(), &iov, &rights, MsgFlags::empty(), None).unwrap();
    assert_eq!(sent, bytes.len());
}

/// Receives once, with descriptors.
pub fn recv_fds(stream: &UnixStream) -> (Vec<u8>, Vec<File>) {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let mut buf = vec![0; 65536];
    let mut space = nix::cmsg_space!([i32; 64]);
    let mut iov = [std::io::IoSliceMut::new(&mut buf)];
    let msg = recvmsg::<()>(
        stream.as_raw_fd(),
        &mut iov,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )
    .unwrap();
    let mut fds = Vec::new();
    for cmsg in msg.cmsgs().unwrap() {
        if let ControlMessageOwned::ScmRights(raw) = cmsg {
            fds.extend(raw.into_iter().map(own));
        }
    }
    let len = msg.bytes;
    buf.truncate(len);
    (buf, fds)
}
