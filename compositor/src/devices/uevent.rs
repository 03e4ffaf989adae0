//! Word from the kernel that a monitor changed or an input device came.
//!
//! The kernel tells of its devices on a netlink socket that every process may
//! listen on, so no udev is needed. The word is only a reason to look again.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use calloop::generic::{Generic, NoIoDrop};
use calloop::{Interest, Mode, PostAction};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, socket,
};

use super::handover::is_name;
use crate::state::Compositor;

/// The group the kernel itself sends to; group 2 is udev's.
const KERNEL_GROUP: u32 = 1;

/// Longest message: 2 KiB of variables and a path before them. A longer one is
/// cut, and then still says what is looked for.
const MAX_MESSAGE: usize = 8 * 1024;

/// Messages read in one turn of the loop; the rest stay for the next.
const MAX_MESSAGES: usize = 64;

/// What the kernel said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// A monitor may have come, gone or changed.
    Monitor,
    /// There is a new input device of this name in `/dev/input`.
    Input(String),
}

/// Calls `heard` with each word of interest.
///
/// # Errors
/// What socket(2) and bind(2) say.
pub(super) fn watch(
    compositor: &Compositor,
    mut heard: impl FnMut(&mut Compositor, Word) + 'static,
) -> io::Result<()> {
    let source = Generic::new(listen()?, Interest::READ, Mode::Level);
    let read = move |_, socket: &mut NoIoDrop<OwnedFd>, compositor: &mut Compositor| {
        for word in drain(socket) {
            heard(compositor, word);
        }
        Ok(PostAction::Continue)
    };
    let inserted = compositor.handle().insert_source(source, read);
    inserted.map_err(|error| io::Error::other(error.to_string()))?;
    Ok(())
}

fn listen() -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkKObjectUEvent,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
    Ok(socket)
}

/// Reads what waits, each thing once.
fn drain(socket: impl AsFd) -> Vec<Word> {
    let mut buffer = [0; MAX_MESSAGE];
    let mut words = Vec::new();
    for _ in 0..MAX_MESSAGES {
        let word = match recvfrom::<NetlinkAddr>(socket.as_fd().as_raw_fd(), &mut buffer) {
            // Any process may send here, but only the kernel has the number 0.
            Ok((len, Some(from))) if from.pid() == 0 => parse(&buffer[..len]),
            Ok(_) | Err(Errno::EINTR) => None,
            // Messages were lost, maybe the one waited for.
            Err(Errno::ENOBUFS) => Some(Word::Monitor),
            Err(Errno::EAGAIN) => break,
            Err(error) => {
                tracing::warn!(%error, "cannot read the kernel's messages");
                break;
            }
        };
        words.extend(word.filter(|word| !words.contains(word)));
    }
    words
}

/// `ACTION@PATH`, then `KEY=VALUE`s, each ended by a NUL.
fn parse(message: &[u8]) -> Option<Word> {
    let mut lines = message.split(|byte| *byte == 0);
    let (action, _) = std::str::from_utf8(lines.next()?).ok()?.split_once('@')?;
    let fields: Vec<_> = lines
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    let has = |field: &str| fields.contains(&field);
    if action == "change" && has("SUBSYSTEM=drm") && has("HOTPLUG=1") {
        return Some(Word::Monitor);
    }
    if action == "add" && has("SUBSYSTEM=input") {
        let name = fields
            .iter()
            .find_map(|field| field.strip_prefix("DEVNAME=input/"))?;
        return is_name(name, "event").then(|| Word::Input(name.to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOTPLUG: &[u8] = b"change@/devices/pci0000:00/0000:00:01.0/drm/card0\0\
        ACTION=change\0DEVPATH=/devices/pci0000:00/0000:00:01.0/drm/card0\0SUBSYSTEM=drm\0\
        HOTPLUG=1\0MAJOR=226\0MINOR=0\0DEVNAME=dri/card0\0DEVTYPE=drm_minor\0SEQNUM=1234\0";

    const KEYBOARD: &[u8] = b"add@/devices/pci0000:00/virtio1/input/input5/event3\0ACTION=add\0\
        DEVPATH=/devices/pci0000:00/virtio1/input/input5/event3\0SUBSYSTEM=input\0\
        MAJOR=13\0MINOR=67\0DEVNAME=input/event3\0SEQNUM=1235\0";

    fn parse_with(message: &[u8], from: &str, to: &str) -> Option<Word> {
        let text = String::from_utf8(message.to_vec()).unwrap();
        assert!(text.contains(from));
        parse(text.replace(from, to).as_bytes())
    }

    #[test]
    fn a_hotplug_of_a_monitor_is_heard() {
        assert_eq!(parse(HOTPLUG), Some(Word::Monitor));
        assert_eq!(parse_with(HOTPLUG, "change@", "add@"), None);
        assert_eq!(parse_with(HOTPLUG, "SUBSYSTEM=drm", "SUBSYSTEM=usb"), None);
        assert_eq!(parse_with(HOTPLUG, "HOTPLUG=1", "LEASE=1"), None);
    }

    #[test]
    fn a_new_input_device_is_heard() {
        assert_eq!(parse(KEYBOARD), Some(Word::Input("event3".to_owned())));
        assert_eq!(parse_with(KEYBOARD, "add@", "remove@"), None);
        assert_eq!(
            parse_with(KEYBOARD, "input/event3\0SEQ", "input/mouse0\0SEQ"),
            None
        );
        assert_eq!(
            parse_with(KEYBOARD, "input/event3\0SEQ", "input/event/../x\0SEQ"),
            None
        );
        assert_eq!(
            parse_with(KEYBOARD, "input/event3\0SEQ", "input/event\0SEQ"),
            None
        );
    }

    #[test]
    fn nonsense_is_not_heard() {
        for message in [&b""[..], b"@", b"change@", b"\xff\xfe@\0", &[0; 64]] {
            assert_eq!(parse(message), None);
        }
    }

    #[test]
    fn without_privileges_the_kernel_may_be_listened_to() {
        let socket = listen().unwrap();
        // What happens on this machine meanwhile is heard, and may be nothing.
        drain(&socket);
    }
}
