//! What a slow reader and a second reader get.

use guest_control::Event;
use nix::errno::Errno;

use super::Outbox;

fn take(outbox: &mut Outbox, mut room: usize) -> String {
    let mut got = Vec::new();
    let result = outbox.flush(|bytes| {
        if room == 0 {
            return Err(Errno::EAGAIN);
        }
        let count = room.min(bytes.len());
        got.extend_from_slice(&bytes[..count]);
        room -= count;
        Ok(count)
    });
    result.expect("written");
    String::from_utf8(got).expect("text")
}

#[test]
fn a_new_reader_starts_with_a_line() {
    let mut outbox = Outbox::default();
    outbox.push(&Event::Halting {});
    outbox.push(&Event::Ready {});
    assert_eq!(take(&mut outbox, 5), r#"{"hal"#);
    outbox.new_reader(&[Event::Halting {}]);
    let expected = "{\"halting\":{}}\n{\"ready\":{}}\n";
    assert_eq!(take(&mut outbox, usize::MAX), expected);
    assert!(outbox.is_empty());
}

#[test]
fn whole_lines_stay() {
    let mut outbox = Outbox::default();
    outbox.push(&Event::Halting {});
    outbox.push(&Event::Ready {});
    assert_eq!(take(&mut outbox, 15), "{\"halting\":{}}\n");
    outbox.new_reader(&[]);
    assert_eq!(take(&mut outbox, usize::MAX), "{\"ready\":{}}\n");
}

#[test]
fn errors_are_told() {
    let mut outbox = Outbox::default();
    outbox.push(&Event::Ready {});
    assert_eq!(outbox.flush(|_| Err(Errno::ENODEV)), Err(Errno::ENODEV));
}
