use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use calloop::EventLoop;
use virtio_wl_bridge::unix;

use super::*;

/// Only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(30);

/// A socket that refuses to send some times and cannot be polled for writing,
/// as connections over virtio_wl.
#[derive(Debug)]
struct Stubborn {
    socket: UnixStream,
    refusals: u32,
}

impl Transport for Stubborn {
    fn recv(&mut self, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
        unix::recv(&self.socket, bytes, fds)
    }

    fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        if self.refusals > 0 {
            self.refusals -= 1;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        unix::send(&self.socket, bytes, fds)
    }

    fn polls_writable(&self) -> bool {
        false
    }
}

impl AsFd for Stubborn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A link on a loop, and both its far ends.
struct Setup {
    event_loop: EventLoop<'static, Vec<LinkState>>,
    states: Vec<LinkState>,
    client: UnixStream,
    display: UnixStream,
}

fn setup(refusals: u32) -> Setup {
    let (client, socket) = UnixStream::pair().unwrap();
    let (link, display) = LinkSource::new(Box::new(Stubborn { socket, refusals })).unwrap();
    let event_loop: EventLoop<'static, Vec<LinkState>> = EventLoop::try_new().unwrap();
    event_loop
        .handle()
        .insert_source(link, |state, (), states| states.push(state))
        .unwrap();
    client.set_nonblocking(true).unwrap();
    display.set_nonblocking(true).unwrap();
    Setup {
        event_loop,
        states: Vec::new(),
        client,
        display,
    }
}

impl Setup {
    fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !done(self) {
            assert!(Instant::now() < end, "waited too long");
            let turn = Duration::from_millis(1);
            self.event_loop.dispatch(turn, &mut self.states).unwrap();
        }
    }
}

fn read_some(mut from: &UnixStream, into: &mut Vec<u8>) {
    let mut bytes = [0; 64];
    if let Ok(count) = from.read(&mut bytes) {
        into.extend(&bytes[..count]);
    }
}

#[test]
fn test_transport_that_cannot_be_polled_is_tried_again() {
    let mut setup = setup(3);
    setup.display.write_all(b"an event").unwrap();
    let mut got = Vec::new();
    setup.until(|setup| {
        read_some(&setup.client, &mut got);
        got == b"an event"
    });
}

#[test]
fn test_requests_reach_the_display_and_say_so() {
    let mut setup = setup(0);
    let sync: Vec<u8> = [1u32, 12 << 16, 2]
        .iter()
        .flat_map(|w| w.to_ne_bytes())
        .collect();
    setup.client.write_all(&sync).unwrap();
    let mut got = Vec::new();
    setup.until(|setup| {
        read_some(&setup.display, &mut got);
        got == sync
    });
    assert!(setup.states.contains(&LinkState::Fed));
}

#[test]
fn test_last_words_of_the_display_reach_the_client() {
    let mut setup = setup(0);
    setup.display.write_all(b"error").unwrap();
    let (gone, _) = UnixStream::pair().unwrap();
    drop(std::mem::replace(&mut setup.display, gone));
    setup.until(|setup| setup.states.contains(&LinkState::Closed));
    let mut got = Vec::new();
    setup.client.set_nonblocking(false).unwrap();
    setup.client.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"error");
}

#[test]
fn test_client_that_leaves_closes_the_link() {
    let mut setup = setup(0);
    let (gone, _) = UnixStream::pair().unwrap();
    drop(std::mem::replace(&mut setup.client, gone));
    setup.until(|setup| setup.states.contains(&LinkState::Closed));
}

#[test]
fn test_malformed_message_closes_the_link_without_reaching_the_display() {
    let mut setup = setup(0);
    setup.client.write_all(&[1, 0, 0, 0, 0, 0, 7, 0]).unwrap();
    setup.until(|setup| setup.states.contains(&LinkState::Closed));
    let mut got = Vec::new();
    read_some(&setup.display, &mut got);
    assert_eq!(got, b"");
}
