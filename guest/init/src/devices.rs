//! Device nodes: who may use them, and handing them out.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::libc::O_NONBLOCK;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::identity::Identity;

/// The node of the virtio_wl driver, below /dev.
pub(crate) const WL: &str = "wl0";

/// `KEY_POWER` of linux/input-event-codes.h.
const POWER_KEY: u32 = 116;

/// What else a power button may have: `KEY_SLEEP`, `KEY_WAKEUP` (from Linux 6.10 on all have it).
const OTHER_POWER_KEYS: [u32; 2] = [142, 143];

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
    /// Where the nodes are.
    directory: PathBuf,
    /// What was handed over last under the name of each node.
    given: BTreeMap<String, Inode>,
}

/// A node, apart from others of the same name before and after it: when a device is unplugged its
/// node is removed, and the next device's is made anew. devtmpfs never gives a number again, and
/// elsewhere a file that is still open keeps its own.
#[derive(Debug, PartialEq, Eq)]
struct Inode(u64);

impl Handover {
    /// Our end of the socket.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self::from_directory(socket, PathBuf::from("/dev"))
    }

    fn from_directory(socket: OwnedFd, directory: PathBuf) -> Self {
        Self {
            socket,
            directory,
            given: BTreeMap::new(),
        }
    }

    /// Hands over all devices there are that have not been.
    pub(crate) fn offer_all(&mut self) {
        for directory in ["dri", "input"] {
            for node in nodes(&self.directory, directory) {
                self.offer(&node);
            }
        }
    }

    /// Says that the devices so far are all that were there at the start.
    pub(crate) fn settled(&self) {
        if let Err(errno) = self.send("settled", None) {
            tracing::warn!("cannot say that all devices are handed over: {errno}");
        }
    }

    /// Hands over the device of a node below /dev, if it is of a kind that is handed out and has
    /// not been: the news of one that was there at the start may come later.
    pub(crate) fn offer(&mut self, node: &str) {
        let Some(message) = message_for(node) else {
            return;
        };
        if is_power_button(node) {
            return;
        }
        if let Err(error) = self.try_offer(node, &message) {
            if error.kind() == io::ErrorKind::NotFound {
                // Gone again; its news are old.
                tracing::debug!("no {node} any more");
            } else {
                tracing::warn!("cannot hand over {message}: {error}");
            }
        }
    }

    fn try_offer(&mut self, node: &str, message: &str) -> io::Result<()> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(O_NONBLOCK)
            .open(self.directory.join(node))?;
        let inode = Inode(file.metadata()?.ino());
        if self.given.get(node) == Some(&inode) {
            return Ok(());
        }
        self.send(message, Some(file.into()))?;
        self.given.insert(node.to_owned(), inode);
        Ok(())
    }

    fn send(&self, message: &str, device: Option<OwnedFd>) -> nix::Result<()> {
        let fds: Vec<_> = device.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&fds)];
        let rights = if fds.is_empty() { &[][..] } else { &rights[..] };
        let text = [IoSlice::new(message.as_bytes())];
        // One that does not read loses what does not fit, and nobody waits for it.
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(self.socket.as_raw_fd(), &text, rights, flags, None).map(drop)
    }
}

/// The nodes in a directory below `dev`, as paths below `dev`.
pub(crate) fn nodes(dev: &Path, directory: &str) -> Vec<String> {
    let mut nodes: Vec<_> = fs::read_dir(dev.join(directory))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| format!("{directory}/{}", entry.file_name().to_string_lossy()))
        .collect();
    nodes.sort();
    nodes
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
    fs::read_to_string(keys).is_ok_and(|keys| are_power_keys(&keys))
}

/// Whether a bitmap of keys, as sysfs has it (words of 64 bits in hexadecimal, the highest first),
/// is that of a power button.
fn are_power_keys(bitmap: &str) -> bool {
    let words = bitmap.split_ascii_whitespace().rev();
    let words: Option<Vec<u64>> = words
        .map(|word| u64::from_str_radix(word, 16).ok())
        .collect();
    let Some(words) = words else { return false };
    let with = |keys: &[u32]| {
        let mut bitmap = vec![0_u64; words.len()];
        for key in keys {
            if let Some(word) = bitmap.get_mut((key / u64::BITS) as usize) {
                *word |= 1 << (key % u64::BITS);
            }
        }
        bitmap
    };
    let (power, others) = (with(&[POWER_KEY]), with(&OTHER_POWER_KEYS));
    let good = |((word, power), others): ((&u64, u64), u64)| word & !others == power;
    words.len() > (POWER_KEY / u64::BITS) as usize && words.iter().zip(power).zip(others).all(good)
}

#[cfg(test)]
mod tests;
