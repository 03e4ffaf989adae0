//! Events as the kernel gives them on x86-64.

use super::{EVENT_BYTES, has_press};

fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
    let mut event = vec![0xff; EVENT_BYTES - 8];
    event.extend(kind.to_ne_bytes());
    event.extend(code.to_ne_bytes());
    event.extend(value.to_ne_bytes());
    event
}

#[test]
fn only_a_press_counts() {
    let (press, release, report) = (event(1, 116, 1), event(1, 116, 0), event(0, 0, 0));
    assert!(has_press(&press));
    assert!(has_press(&[report.clone(), press.clone()].concat()));
    assert!(!has_press(&[report, release].concat()));
    // Another key, a switch, and half an event.
    assert!(!has_press(&event(1, 30, 1)));
    assert!(!has_press(&event(5, 116, 1)));
    assert!(!has_press(&press[1..]));
    assert!(!has_press(&[]));
}
