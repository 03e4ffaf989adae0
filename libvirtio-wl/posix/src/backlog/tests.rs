use super::*;

fn kept(messages: &[(&[u8], usize)]) -> (Kept, Vec<io::Result<usize>>) {
    let null = std::fs::File::open("/dev/null").expect("a file");
    let mut kept = Kept::default();
    let results = messages
        .iter()
        .map(|(bytes, fds)| kept.keep(&[IoSlice::new(bytes)], &vec![null.as_fd(); *fds]))
        .collect();
    (kept, results)
}

fn counts(results: Vec<io::Result<usize>>) -> Vec<usize> {
    results
        .into_iter()
        .map(|result| result.expect("kept"))
        .collect()
}

#[test]
fn no_more_bytes_are_kept_than_a_socket_holds() {
    let large = vec![7; MAX_BYTES - 1];
    let (kept, results) = kept(&[(&large, 0), (b"ab", 0), (b"c", 0)]);
    assert_eq!(counts(results), [MAX_BYTES - 1, 1, 0]);
    assert_eq!(kept.bytes, MAX_BYTES);
    assert_eq!(kept.messages.back().expect("two").bytes, b"a");
}

#[test]
fn descriptors_are_kept_together_or_not_at_all() {
    let (kept, results) = kept(&[(b"a", 20), (b"b", 9), (b"c", 8), (b"d", 0)]);
    assert_eq!(counts(results), [1, 0, 1, 1]);
    assert_eq!((kept.fds, kept.bytes), (28, 3));
}

#[test]
fn nothing_is_kept_of_nothing() {
    let (kept, results) = kept(&[(b"", 1)]);
    assert_eq!(counts(results), [0]);
    assert!(kept.messages.is_empty());
}
