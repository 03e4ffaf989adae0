//! Messages as the kernel sends them.

use proptest::prelude::*;

use super::{News, parse};

#[test]
fn of_a_device() {
    let message = b"add@/devices/x/input/input3/event3\0ACTION=add\0DEVPATH=/devices/x\0SUBSYSTEM=input\0DEVNAME=input/event3\0SEQNUM=7\0";
    let news = News::Device {
        action: "add".to_owned(),
        subsystem: "input".to_owned(),
        node: Some("input/event3".to_owned()),
    };
    assert_eq!(parse(message), Some(news));
}

#[test]
fn of_others() {
    assert_eq!(parse(b"libudev\0\xfe\xed\xca\xfe"), None);
    assert_eq!(parse(b"add@/x\0ACTION=add\0"), None);
    assert_eq!(parse(b""), None);
}

proptest! {
    #[test]
    fn any_bytes(message in proptest::collection::vec(any::<u8>(), 0..300)) {
        parse(&message);
    }
}
