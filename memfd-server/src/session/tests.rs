use virtio_wl::memfd_request::Label;

use super::*;

fn feed(session: &mut Session, bytes: &[u8]) -> usize {
    match session.state() {
        State::Receive(buffer) => {
            let count = buffer.len().min(bytes.len());
            buffer[..count].copy_from_slice(&bytes[..count]);
            session.received(count);
            count
        }
        other => panic!("not receiving: {other:?}"),
    }
}

fn request(size: u64) -> MemfdRequest {
    let label = Label::lossy("test");
    MemfdRequest { size, label }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let mut session = Session::new();
    for byte in request(77).encode() {
        assert_eq!(feed(&mut session, &[byte]), 1);
    }
    match session.state() {
        State::Decide(Ok(got)) => assert_eq!(got, request(77)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_byte_of_the_next_request_is_taken_before_the_reply_has_left() {
    let mut session = Session::new();
    let bytes = [request(1).encode(), request(2).encode()].concat();
    assert_eq!(feed(&mut session, &bytes), REQUEST_BYTES);
    assert!(matches!(session.state(), State::Decide(Ok(_))));
    session.answer(MemfdStatus::QUOTA.into());
    assert!(matches!(session.state(), State::Send(_)));
    session.sent();
    feed(&mut session, &bytes[REQUEST_BYTES..]);
    match session.state() {
        State::Decide(Ok(got)) => assert_eq!(got.size, 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_malformed_request_is_answered_and_the_next_one_is_understood() {
    let mut session = Session::new();
    feed(&mut session, &[0xff; REQUEST_BYTES]);
    assert!(matches!(session.state(), State::Decide(Err(_))));
    session.answer(MemfdStatus::INVALID.into());
    session.sent();
    feed(&mut session, &request(5).encode());
    assert!(matches!(session.state(), State::Decide(Ok(_))));
}

#[test]
fn leaving_midway_is_noticed() {
    let mut session = Session::new();
    assert!(!session.is_midway());
    feed(&mut session, &[1, 2, 3]);
    assert!(session.is_midway());
}

#[test]
fn any_bytes_in_any_chunks() {
    let bytes: Vec<u8> = (0..1000u32).map(|n| ((n * 37) >> 3) as u8).collect();
    for chunk in [0, 1, 7, 39, 40, 41, 1000] {
        for len in [0, 1, 39, 40, 41, 80, 999] {
            exercise(&bytes[..len], chunk);
        }
    }
}
