//! `wl_data_offer` and `zwp_primary_selection_offer_v1`: the client names the
//! descriptor that a selection is to be written to.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use wayland_backend::protocol::{ArgumentType, MessageDesc};

use super::request::missing_fd;
use super::{ClientError, Relay, args};
use crate::wire::Message;

impl Relay {
    /// Forwards a request of an offer, except `receive` into anything but the
    /// writable end of a pipe: neither a file nor a socket of this machine can
    /// be written to from another one. That descriptor is closed, which to the
    /// client is an empty selection.
    pub(super) fn offer_request(
        &mut self,
        message: Message<'_>,
        desc: &MessageDesc,
        fds: &mut VecDeque<OwnedFd>,
    ) -> Result<(), ClientError> {
        // The only request with a descriptor is `receive(mime type, fd)`.
        if desc.signature.contains(&ArgumentType::Fd) {
            let fd = fds.front().ok_or_else(missing_fd)?;
            if !is_writable_pipe(fd) {
                tracing::warn!("a client wants a selection written to something other than a pipe");
                let mut args = args(&message);
                args.string()?;
                args.finish()?;
                fds.pop_front();
                return Ok(());
            }
        }
        self.forward_request(message, desc, fds)
    }
}

fn is_writable_pipe(fd: impl AsFd) -> bool {
    let pipe = fstat(fd.as_fd()).is_ok_and(|stat| {
        SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO
    });
    pipe && fcntl(fd.as_fd(), FcntlArg::F_GETFL)
        .is_ok_and(|flags| OFlag::from_bits_truncate(flags) & OFlag::O_ACCMODE == OFlag::O_WRONLY)
}
