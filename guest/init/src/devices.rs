//! Device nodes: who may use them, and handing them out.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;

use nix::libc::O_NONBLOCK;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::identity::Identity;

/// The node of the virtio_wl driver, below /dev.
pub(crate) const WL: &str = "wl0";

/// What the key bitmap of a power button says: `KEY_POWER` (116) and nothing else.
const POWER_KEY: &str = "10000000000000 0";

/// Lets the session's group use the virtio_wl device, if it is there.
pub(crate) fn share_wl(identity: Option<&Identity>) {
    let path = Path::new("/dev").join(WL);
    let gid = identity.map(|identity| identity.gid.as_raw());
    let result = chown(&path, None, gid)
        .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o660)));
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::error!("cannot share {}: {error}", path.display());
        }
        _ => {}
    }
}

/// The socket over which a compositor is given devices.
#[derive(Debug)]
pub(crate) struct Handover {
    socket: OwnedFd,
}

impl Handover {
    /// Our end of the socket.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Hands over all devices there are, and says that these were all.
    pub(crate) fn offer_all(&self) {
        for directory in ["dri", "input"] {
            let mut nodes: Vec<_> = fs::read_dir(Path::new("/dev").join(directory))
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| format!("{directory}/{}", entry.file_name().to_string_lossy()))
                .collect();
            nodes.sort();
            for node in nodes {
                self.offer(&node);
            }
        }
        self.send("settled", None);
    }

    /// Hands over the device of a node below /dev, if it is of a kind that is handed out.
    pub(crate) fn offer(&self, node: &str) {
        let Some(message) = message_for(node) else {
            return;
        };
        if is_power_button(node) {
            return;
        }
        let path = Path::new("/dev").join(node);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(O_NONBLOCK)
            .open(&path);
        match file {
            Ok(file) => self.send(&message, Some(file.into())),
            Err(error) => tracing::warn!("cannot open {}: {error}", path.display()),
        }
    }

    fn send(&self, message: &str, device: Option<OwnedFd>) {
        let fds: Vec<_> = device.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&fds)];
        let rights = if fds.is_empty() { &[][..] } else { &rights[..] };
        let text = [IoSlice::new(message.as_bytes())];
        // One that does not read loses what does not fit, and nobody waits for it.
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        if let Err(errno) = sendmsg::<()>(self.socket.as_raw_fd(), &text, rights, flags, None) {
            tracing::warn!("cannot hand over {message}: {errno}");
        }
    }
}

/// What is said of a node when it is handed over; `None` for those that are not.
fn message_for(node: &str) -> Option<String> {
    let numbered = |name: &str, prefix: &str| {
        let number = name.strip_prefix(prefix)?;
        let good = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        good.then(|| name.to_owned())
    };
    match node.split_once('/')? {
        ("dri", name) => Some(format!("drm {}", numbered(name, "card")?)),
        ("input", name) => Some(format!("input {}", numbered(name, "event")?)),
        _ => None,
    }
}

/// Whether an input device is a power button and nothing else: it is init's.
pub(crate) fn is_power_button(node: &str) -> bool {
    let Some(name) = node.strip_prefix("input/") else {
        return false;
    };
    let keys = format!("/sys/class/input/{name}/device/capabilities/key");
    fs::read_to_string(keys).is_ok_and(|keys| keys.trim() == POWER_KEY)
}

#[cfg(test)]
mod tests;
