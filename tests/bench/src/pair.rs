//! What sendmsg and recvmsg cost this process on an ordinary socket pair, with whatever is loaded before
//! libc.

use std::{
    io::{IoSlice, IoSliceMut},
    os::fd::AsRawFd,
    os::unix::net::UnixStream,
};

use anyhow::{Result, ensure};
use nix::sys::socket::{MsgFlags, recvmsg, sendmsg};

use crate::{
    Rounds,
    timing::{self, Summary},
};

/// Messages per round, so that reading the clock does not count.
const MESSAGES: usize = 100;

const BYTES: usize = 64;

pub(crate) fn measure(rounds: &Rounds) -> Result<Summary> {
    let (near, far) = UnixStream::pair()?;
    let sent = timing::payload(BYTES);
    let mut received = vec![0; BYTES];
    timing::time(rounds, || {
        for _ in 0..MESSAGES {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            sendmsg::<()>(near.as_raw_fd(), &[IoSlice::new(&sent)], &[], flags, None)?;
            let mut bufs = [IoSliceMut::new(&mut received)];
            let message = recvmsg::<()>(far.as_raw_fd(), &mut bufs, None, MsgFlags::MSG_DONTWAIT)?;
            ensure!(message.bytes == BYTES, "{} bytes", message.bytes);
        }
        Ok(())
    })
}
