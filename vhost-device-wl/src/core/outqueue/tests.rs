use std::os::unix::net::UnixStream;

use super::*;
use crate::core::quota::Limits;

fn queue(limit: usize) -> (OutQueue, Arc<Quota>) {
    let quota = Quota::new(Limits::default());
    (OutQueue::new(limit, Arc::clone(&quota)), quota)
}

fn fd() -> Arc<OwnedFd> {
    Arc::new(UnixStream::pair().unwrap().0.into())
}

fn blocked(_: &[u8], _: &[BorrowedFd<'_>]) -> io::Result<usize> {
    Err(io::ErrorKind::WouldBlock.into())
}

#[test]
fn bytes_keep_their_order_and_fds_go_with_their_first_byte() {
    let (mut queue, quota) = queue(1 << 20);
    let mut seen: Vec<(Vec<u8>, usize)> = Vec::new();
    // The peer takes two bytes, then nothing.
    let mut calls = 0;
    queue
        .send(b"abcd", vec![fd()], |bytes, fds| {
            calls += 1;
            if calls == 1 {
                seen.push((bytes[..2].to_vec(), fds.len()));
                Ok(2)
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            }
        })
        .unwrap();
    queue.send(b"ef", vec![fd(), fd()], blocked).unwrap();
    queue.send(b"gh", vec![], blocked).unwrap();
    assert_eq!(queue.bytes(), 6);
    assert_eq!(quota.used(Resource::Queued), 6);
    queue
        .flush(|bytes, fds| {
            seen.push((bytes[..1].to_vec(), fds.len()));
            Ok(1)
        })
        .unwrap();
    let bytes: Vec<u8> = seen.iter().flat_map(|(b, _)| b.clone()).collect();
    assert_eq!(bytes, b"abcdefgh");
    let fds: Vec<usize> = seen.iter().map(|(_, n)| *n).collect();
    assert_eq!(fds, [1, 0, 0, 2, 0, 0, 0]);
    assert!(queue.is_empty());
    assert_eq!(quota.used(Resource::Queued), 0);
}

#[test]
fn the_bound_is_exact_and_a_refused_message_leaves_no_trace() {
    let (mut queue, quota) = queue(8);
    queue.send(b"12345678", vec![], blocked).unwrap();
    let error = queue.send(b"9", vec![], blocked).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
    assert_eq!((queue.bytes(), quota.used(Resource::Queued)), (8, 8));
}

#[test]
fn descriptors_are_bounded_too() {
    let (mut queue, _quota) = queue(1 << 20);
    let fd = fd();
    for _ in 0..MAX_QUEUED_FDS / 16 {
        queue
            .send(b"x", vec![Arc::clone(&fd); 16], blocked)
            .unwrap();
    }
    assert!(queue.send(b"x", vec![Arc::clone(&fd)], blocked).is_err());
    queue.clear();
    assert_eq!(Arc::strong_count(&fd), 1);
}

#[test]
fn all_queues_of_a_vm_share_one_quota() {
    let quota = Quota::new(Limits {
        queued: 10,
        ..Limits::default()
    });
    let mut a = OutQueue::new(1 << 20, Arc::clone(&quota));
    let mut b = OutQueue::new(1 << 20, Arc::clone(&quota));
    a.send(&[0; 8], vec![], blocked).unwrap();
    assert!(b.send(&[0; 8], vec![], blocked).is_err());
    drop(a);
    b.send(&[0; 8], vec![], blocked).unwrap();
}

#[test]
fn tiny_messages_are_coalesced() {
    let (mut queue, _quota) = queue(1 << 20);
    for _ in 0..10_000 {
        queue.send(b"x", vec![], blocked).unwrap();
    }
    assert_eq!(queue.chunks.len(), 1);
}

#[test]
fn a_broken_peer_is_reported() {
    let (mut queue, _quota) = queue(1 << 20);
    let broken = |_: &[u8], _: &[BorrowedFd<'_>]| Err(io::ErrorKind::BrokenPipe.into());
    assert_eq!(
        queue.send(b"x", vec![], broken).unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
    queue.send(b"x", vec![], blocked).unwrap();
    assert!(queue.flush(broken).is_err());
}
