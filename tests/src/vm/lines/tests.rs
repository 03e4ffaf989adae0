use super::*;

fn pair(limit: usize) -> (Lines, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Lines::new("peer", ours, limit).unwrap(), theirs)
}

#[test]
fn lines_come_whole_however_they_were_cut() {
    let (mut lines, mut peer) = pair(100);
    peer.write_all(b"one\ntw").unwrap();
    assert_eq!(lines.next(Deadline::step()).unwrap().unwrap(), b"one");
    peer.write_all(b"o\n\n").unwrap();
    assert_eq!(lines.next(Deadline::step()).unwrap().unwrap(), b"two");
    assert_eq!(lines.next(Deadline::step()).unwrap().unwrap(), b"");
    drop(peer);
    assert!(lines.next(Deadline::step()).unwrap().is_none());
}

#[test]
fn a_line_without_end_is_refused() {
    let (mut lines, mut peer) = pair(100);
    peer.write_all(&[b'x'; 200]).unwrap();
    assert!(lines.next(Deadline::step()).is_err());
}

#[test]
fn what_is_there_is_taken_without_waiting() {
    let (mut lines, mut peer) = pair(100);
    peer.write_all(b"one\ntwo\nthr").unwrap();
    let (found, open) = lines.waiting().unwrap();
    assert_eq!(found, [b"one", b"two"]);
    assert!(open);
    peer.write_all(b"ee\n").unwrap();
    assert_eq!(lines.waiting().unwrap().0, [b"three"]);
    drop(peer);
    assert_eq!(lines.waiting().unwrap(), (Vec::new(), false));
}
