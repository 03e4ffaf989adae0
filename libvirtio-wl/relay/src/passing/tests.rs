use std::fs::File;

use super::*;

fn fds(count: usize) -> Vec<OwnedFd> {
    let open = || File::open("/dev/null").unwrap().into();
    (0..count).map(|_| open()).collect()
}

/// Everything that comes out: bytes and number of descriptors of each part.
fn parts(passing: &mut Passing) -> Vec<(Vec<u8>, usize)> {
    let mut parts = Vec::new();
    while !passing.has_room() {
        let chunk = passing.next().unwrap();
        parts.push((chunk.bytes, chunk.fds.len()));
    }
    parts
}

#[test]
fn a_read_passes_as_it_is() {
    let mut passing = Passing::default();
    assert!(passing.has_room());
    passing.push(b"any bytes", fds(MAX_FDS)).unwrap();
    assert!(!passing.has_room());
    assert_eq!(parts(&mut passing), [(b"any bytes".to_vec(), MAX_FDS)]);
    assert!(passing.next().unwrap().bytes.is_empty());
}

#[test]
fn more_descriptors_than_a_message_holds_go_with_a_byte_each() {
    let mut passing = Passing::default();
    passing.push(b"bytes", fds(2 * MAX_FDS + 1)).unwrap();
    let expected = [
        (b"b".to_vec(), MAX_FDS),
        (b"y".to_vec(), MAX_FDS),
        (b"tes".to_vec(), 1),
    ];
    assert_eq!(parts(&mut passing), expected);
}

#[test]
fn descriptors_without_bytes_are_refused() {
    let mut passing = Passing::default();
    passing.push(b"ab", fds(2 * MAX_FDS)).unwrap();
    let expected = [(b"a".to_vec(), MAX_FDS), (b"b".to_vec(), MAX_FDS)];
    assert_eq!(parts(&mut passing), expected);
    let refused = passing.push(b"a", fds(MAX_FDS + 1));
    assert_eq!(refused, Err(TooManyFds(MAX_FDS + 1)));
}
