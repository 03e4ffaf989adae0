use std::fs::File;
use std::os::fd::BorrowedFd;

use super::*;

/// A client that takes `room` bytes, and a few at a time.
#[derive(Debug)]
struct Slow {
    room: usize,
    got: Vec<u8>,
    /// Descriptors, and after how many bytes they came.
    fds: Vec<(usize, usize)>,
    null: File,
}

/// Most bytes [`Slow`] takes at once.
const BITE: usize = 3;

impl Slow {
    fn new(room: usize) -> Self {
        Self {
            room,
            got: Vec::new(),
            fds: Vec::new(),
            null: File::open("/dev/null").unwrap(),
        }
    }
}

impl Transport for Slow {
    fn recv(&mut self, _: &mut [u8], _: &mut Vec<OwnedFd>) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let count = bytes.len().min(self.room).min(BITE);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !fds.is_empty() {
            self.fds.push((self.got.len(), fds.len()));
        }
        self.got.extend(&bytes[..count]);
        self.room -= count;
        Ok(count)
    }

    fn polls_writable(&self) -> bool {
        false
    }
}

impl AsFd for Slow {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.null.as_fd()
    }
}

fn fds(count: usize) -> Vec<OwnedFd> {
    let open = || File::open("/dev/null").unwrap().into();
    (0..count).map(|_| open()).collect()
}

#[test]
fn test_fds_go_once_with_the_first_byte_of_their_part() {
    let mut outbound = Outbound::default();
    let mut client = Slow::new(100);
    outbound.push(b"first part", fds(1));
    outbound.push(b"second", fds(2));
    assert!(outbound.send(&mut client).unwrap());
    assert_eq!(client.got, b"first partsecond");
    assert_eq!(client.fds, [(0, 1), (10, 2)]);
}

#[test]
fn test_refused_bytes_and_fds_wait_for_the_next_time() {
    let mut outbound = Outbound::default();
    let mut client = Slow::new(0);
    outbound.push(b"keymap", fds(1));
    assert!(!outbound.send(&mut client).unwrap());
    assert_eq!(client.fds, []);
    client.room = 4;
    assert!(!outbound.send(&mut client).unwrap());
    client.room = 4;
    assert!(outbound.send(&mut client).unwrap());
    assert_eq!((client.got, client.fds), (b"keymap".to_vec(), vec![(0, 1)]));
}

#[test]
fn test_unread_events_first_stop_requests_then_the_display() {
    let mut outbound = Outbound::default();
    let part = [0; 4096];
    let mut paused_at = None;
    while outbound.has_room() {
        outbound.push(&part, Vec::new());
        if outbound.pauses_requests() && paused_at.is_none() {
            paused_at = Some(outbound.bytes);
        }
    }
    assert_eq!(paused_at, Some(PAUSE_REQUESTS));
    assert_eq!(outbound.bytes, MAX_BYTES);

    let mut client = Slow::new(usize::MAX);
    assert!(outbound.send(&mut client).unwrap());
    assert!(outbound.is_empty() && outbound.has_room() && !outbound.pauses_requests());
}
