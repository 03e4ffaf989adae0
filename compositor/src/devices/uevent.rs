//! Word from the kernel that a monitor changed or an input device came.
//!
//! The kernel tells of its devices on a netlink socket that every process may
//! listen on, so no udev is needed. The word is only a reason to look again.

use std::io;

use calloop::generic::{Generic, NoIoDrop};
use calloop::{Interest, Mode, PostAction};
use guest_uevent::{News, Uevent, Uevents};

use super::handover::is_name;
use crate::state::Compositor;

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
    let source = Generic::new(Uevents::open()?, Interest::READ, Mode::Level);
    let read = move |_, events: &mut NoIoDrop<Uevents>, compositor: &mut Compositor| {
        for word in drain(events) {
            heard(compositor, word);
        }
        Ok(PostAction::Continue)
    };
    let inserted = compositor.handle().insert_source(source, read);
    inserted.map_err(|error| io::Error::other(error.to_string()))?;
    Ok(())
}

/// Reads what waits, each thing once.
fn drain(events: &Uevents) -> Vec<Word> {
    let mut words = Vec::new();
    for _ in 0..MAX_MESSAGES {
        let word = match events.next() {
            Ok(Some(News::Device(event))) => understand(&event),
            // Maybe the one waited for.
            Ok(Some(News::Lost)) => Some(Word::Monitor),
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, "cannot read the kernel's messages");
                break;
            }
        };
        words.extend(word.filter(|word| !words.contains(word)));
    }
    words
}

fn understand(event: &Uevent) -> Option<Word> {
    match (event.action(), event.subsystem()) {
        ("change", "drm") if event.variable("HOTPLUG") == Some("1") => Some(Word::Monitor),
        ("add", "input") => {
            let name = event.node()?.strip_prefix("input/")?;
            is_name(name, "event").then(|| Word::Input(name.to_owned()))
        }
        _ => None,
    }
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

    fn heard(message: &[u8]) -> Option<Word> {
        understand(&Uevent::parse(message)?)
    }

    fn heard_with(message: &[u8], from: &str, to: &str) -> Option<Word> {
        let text = String::from_utf8(message.to_vec()).unwrap();
        assert!(text.contains(from));
        heard(text.replace(from, to).as_bytes())
    }

    #[test]
    fn a_hotplug_of_a_monitor_is_heard() {
        assert_eq!(heard(HOTPLUG), Some(Word::Monitor));
        assert_eq!(heard_with(HOTPLUG, "change", "add"), None);
        assert_eq!(heard_with(HOTPLUG, "SUBSYSTEM=drm", "SUBSYSTEM=usb"), None);
        assert_eq!(heard_with(HOTPLUG, "HOTPLUG=1", "LEASE=1"), None);
    }

    #[test]
    fn a_new_input_device_is_heard() {
        assert_eq!(heard(KEYBOARD), Some(Word::Input("event3".to_owned())));
        assert_eq!(heard_with(KEYBOARD, "add", "remove"), None);
        for other in ["input/mouse0", "input/event/../x", "input/event"] {
            let to = format!("{other}\0SEQ");
            assert_eq!(heard_with(KEYBOARD, "input/event3\0SEQ", &to), None);
        }
    }
}
