use std::os::fd::{AsRawFd, OwnedFd};

use proptest::prelude::*;

use super::*;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn fd() -> OwnedFd {
    std::io::pipe().expect("a pipe").0.into()
}

#[test]
fn a_message_is_taken_when_it_is_complete() {
    let bytes = words(&[7, 12 << 16 | 3, 99, 1]);
    for len in 0..12 {
        assert!(
            Message::parse(&bytes[..len])
                .expect("valid so far")
                .is_none()
        );
    }
    let message = Message::parse(&bytes).expect("valid").expect("complete");
    assert_eq!((message.object, message.opcode), (7, 3));
    assert_eq!(message.body, words(&[99]));
    assert_eq!(message.wire_len(), 12);
}

#[test]
fn impossible_sizes_are_refused() {
    for size in [0, 1, 4, 7, 9, 0xffff] {
        let bytes = words(&[1, size << 16]);
        assert!(Message::parse(&bytes).is_err(), "{size}");
    }
    let largest = words(&[1, (MAX_MESSAGE_LEN as u32) << 16]);
    assert!(matches!(Message::parse(&largest), Ok(None)));
}

#[test]
fn arguments_are_read_in_order() {
    let body = words(&[
        u32::MAX,
        3,
        u32::from_ne_bytes(*b"ab\0\0"),
        2,
        u32::from_ne_bytes(*b"xy\0\0"),
        0,
    ]);
    let mut args = ArgReader::new(&body);
    assert_eq!(args.int(), Ok(-1));
    assert_eq!(args.string(), Ok(Some(&b"ab"[..])));
    assert_eq!(args.array(), Ok(&b"xy"[..]));
    assert_eq!(args.position(), 20);
    assert_eq!(args.string(), Ok(None));
    assert_eq!(args.uint(), Err(BadMessage::TooShort));
    assert_eq!(args.finish(), Ok(()));
}

#[test]
fn bad_strings_are_named() {
    let text = |words_: &[u32]| ArgReader::new(&words(words_)).string().map(|_| ());
    assert_eq!(text(&[4, 0x6161_6161]), Err(BadMessage::Unterminated));
    assert_eq!(text(&[5, 0x6161_6161]), Err(BadMessage::TooShort));
    assert_eq!(text(&[u32::MAX, 0]), Err(BadMessage::TooShort));
    let body = words(&[1, 2]);
    let mut args = ArgReader::new(&body);
    args.uint().expect("one");
    assert_eq!(args.finish(), Err(BadMessage::TooLong));
}

#[test]
fn written_messages_can_be_read() {
    let mut queue = OutQueue::default();
    queue
        .message(5, 2)
        .uint(7)
        .int(-7)
        .string("hello")
        .fd(fd())
        .done();
    let mut fds = Vec::new();
    let bytes = queue.chunk(&mut fds).to_vec();
    assert_eq!(fds.len(), 1);
    let message = Message::parse(&bytes).expect("valid").expect("complete");
    assert_eq!((message.object, message.opcode), (5, 2));
    let mut args = ArgReader::new(message.body);
    assert_eq!((args.uint(), args.int()), (Ok(7), Ok(-7)));
    assert_eq!(args.string(), Ok(Some(&b"hello"[..])));
    assert_eq!(args.finish(), Ok(()));
}

#[test]
fn a_draft_that_is_not_kept_leaves_no_trace() {
    let mut queue = OutQueue::default();
    queue.message(1, 0).done();
    let mut draft = queue.copy(2, 0, &words(&[1, 2]));
    draft.fd(fd());
    draft.set_word(4, 9);
    drop(draft);
    assert_eq!((queue.len(), queue.fd_count()), (8, 0));
    queue.copy(2, 0, &words(&[1, 2])).keep();
    assert_eq!(queue.len(), 24);
}

#[test]
fn more_than_28_descriptors_take_several_sends() {
    let mut queue = OutQueue::default();
    for object in 0..40 {
        queue.message(object, 0).fd(fd()).done();
    }
    let mut fds = Vec::new();
    let bytes = queue.chunk(&mut fds).len();
    assert_eq!(
        (bytes, fds.len()),
        (28 * 8, 28),
        "no byte of a message without its descriptor"
    );
    queue.sent(bytes, 28);
    let mut fds = Vec::new();
    assert_eq!((queue.chunk(&mut fds).len(), fds.len()), (12 * 8, 12));
}

#[test]
fn one_message_with_too_many_descriptors_starts_with_a_byte() {
    let mut queue = OutQueue::default();
    let message = queue.message(1, 0);
    (0..30).fold(message, |message, _| message.fd(fd())).done();
    let mut fds = Vec::new();
    assert_eq!((queue.chunk(&mut fds).len(), fds.len()), (1, 28));
    queue.sent(1, 28);
    let mut fds = Vec::new();
    assert_eq!((queue.chunk(&mut fds).len(), fds.len()), (7, 2));
}

proptest! {
    /// Whatever is taken at a time, descriptors come in order, and none after
    /// the first byte of its message.
    #[test]
    fn descriptors_never_come_late(
        messages in prop::collection::vec((0..40_usize, 0..3_usize), 1..60),
        takes in prop::collection::vec(1..200_usize, 1..200),
    ) {
        let mut queue = OutQueue::default();
        let mut starts = Vec::new();
        let mut numbers = Vec::new();
        let mut total = 0;
        for (words, count) in messages {
            let mut draft = queue.copy(1, 0, &vec![0; 4 * words]);
            for _ in 0..count {
                let fd = fd();
                starts.push(total);
                numbers.push(fd.as_raw_fd());
                draft.fd(fd);
            }
            draft.keep();
            total += 8 + 4 * words;
        }
        let (mut sent, mut got) = (0, Vec::new());
        for take in takes.iter().cycle() {
            if queue.is_empty() {
                break;
            }
            let mut fds = Vec::new();
            let len = queue.chunk(&mut fds).len().min(*take);
            prop_assert!(len > 0 && fds.len() <= MAX_FDS_PER_SEND);
            got.extend(fds.iter().map(AsRawFd::as_raw_fd));
            let count = fds.len();
            queue.sent(len, count);
            sent += len;
            let due = starts.iter().filter(|start| **start < sent).count();
            prop_assert!(got.len() >= due, "a descriptor is late");
        }
        prop_assert_eq!(sent, total);
        prop_assert_eq!(got, numbers);
        prop_assert_eq!(queue.fd_count(), 0);
    }
}
