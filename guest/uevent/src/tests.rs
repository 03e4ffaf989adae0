//! Messages as the kernel sends them.

use proptest::prelude::*;

use super::{Uevent, Uevents};

const KEYBOARD: &[u8] = b"add@/devices/x/input/input3/event3\0ACTION=add\0DEVPATH=/devices/x\0\
    SUBSYSTEM=input\0DEVNAME=input/event3\0SEQNUM=7\0";

#[test]
fn of_a_device() {
    let event = Uevent::parse(KEYBOARD).expect("an event");
    assert_eq!((event.action(), event.subsystem()), ("add", "input"));
    assert_eq!(event.node(), Some("input/event3"));
    assert_eq!(event.variable("SEQNUM"), Some("7"));
    assert_eq!(event.variable("SEQ"), None);
    assert_eq!(event.variable("add@/devices/x/input/input3/event3"), None);
}

#[test]
fn of_one_without_a_node() {
    let event = Uevent::parse(b"add@/x\0ACTION=add\0SUBSYSTEM=virtio\0").expect("an event");
    assert_eq!(event.node(), None);
}

#[test]
fn of_others() {
    for message in [
        &b""[..],
        b"@",
        b"libudev\0\xfe\xed\xca\xfe",
        b"add@/x\0ACTION=add\0",
        b"add@/x\0ACTION=remove\0SUBSYSTEM=input\0",
        b"add@/x",
        b"\xff\xfe@\0",
        &[0; 64],
    ] {
        assert_eq!(Uevent::parse(message), None, "{message:?}");
    }
}

#[test]
fn without_privileges_the_kernel_may_be_listened_to() {
    let events = Uevents::open().expect("a subscription");
    // What happens on this machine meanwhile is heard, and may be nothing.
    while events.next().expect("no failure").is_some() {}
}

proptest! {
    #[test]
    fn any_bytes(message in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Uevent::parse(&message);
    }
}
