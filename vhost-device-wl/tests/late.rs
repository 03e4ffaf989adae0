//! A peer that does not read slows down whoever sends to it, if that driver can bear it.

mod common;

use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};

use common::{Daemon, FEATURES, Frontend, OUT, OwnedEvent, accept, id};
use virtio_wl::wire::{ContextName, Features, PipeDirection, Request, Response};

/// Messages sent to the slow peer: 476 kB, far more than its socket holds and the
/// device lets wait.
const MESSAGES: u16 = 120;

fn connect(guest: &mut Frontend, listener: &UnixListener, raw: u32) -> UnixStream {
    let name = ContextName::DEFAULT;
    let request = Request::NewContext { id: id(raw), name };
    assert!(matches!(guest.request(&request), Response::VfdNew(_)));
    accept(listener)
}

fn message(number: u16) -> Vec<u8> {
    vec![number as u8; 3968]
}

/// Sends all messages in slots from 1 up, waiting for none.
fn send_all(guest: &mut Frontend) {
    for number in 0..MESSAGES {
        let data = message(number);
        let send = Request::Send {
            id: id(1),
            vfds: vec![],
            data: &data,
        };
        let mut bytes = Vec::new();
        send.encode(guest.features, &mut bytes);
        guest.post_bytes(1 + number, &bytes);
    }
    guest.kick(OUT);
}

/// Makes a request in slot 0, after all others; the slots finished before it.
fn finished_before(guest: &mut Frontend, request: &Request<'_>) -> Vec<u16> {
    let mut bytes = Vec::new();
    request.encode(guest.features, &mut bytes);
    guest.post_bytes(0, &bytes);
    guest.kick(OUT);
    let mut slots = Vec::new();
    loop {
        let (head, len) = guest.wait_used(OUT);
        let slot = u16::try_from(head / 2).unwrap();
        let response = Response::parse(&guest.reply_in(slot, len), guest.features);
        assert_eq!(response.map(|r| r.errno()), Ok(None), "slot {slot}");
        if slot == 0 {
            return slots;
        }
        slots.push(slot);
    }
}

fn setup(features: Features) -> (Daemon, Frontend, UnixStream, UnixListener) {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = Frontend::with_features(&daemon.path("device"), features);
    let peer = connect(&mut guest, &listener, 1);
    (daemon, guest, peer, listener)
}

/// A request that has nothing to do with the slow peer.
fn something_else() -> Request<'static> {
    Request::NewPipe {
        id: id(9),
        direction: PipeDirection::Read,
    }
}

#[test]
fn messages_are_finished_as_the_peer_reads() {
    let (_daemon, mut guest, mut peer, listener) = setup(FEATURES | Features::CREDIT);
    send_all(&mut guest);
    let mut lively = connect_late(&mut guest, &listener);
    let mut got = vec![0; usize::from(MESSAGES) * 3968];
    peer.read_exact(&mut got).unwrap();
    let expected: Vec<u8> = (0..MESSAGES).flat_map(message).collect();
    assert!(got == expected);
    // Whatever is still held comes by itself.
    let mut left = usize::from(MESSAGES) - lively.1;
    while left > 0 {
        guest.wait_used(OUT);
        left -= 1;
    }
    let data = Request::Send {
        id: id(2),
        vfds: vec![],
        data: b"ok",
    };
    assert_eq!(guest.request(&data), Response::Ok);
    lively.0.read_exact(&mut [0; 2]).unwrap();
}

/// Connects while messages are held; the connection, and how many were finished before it.
fn connect_late(guest: &mut Frontend, listener: &UnixListener) -> (UnixStream, usize) {
    let request = Request::NewContext {
        id: id(2),
        name: ContextName::DEFAULT,
    };
    let finished = finished_before(guest, &request).len();
    assert!(finished < usize::from(MESSAGES), "nothing is held");
    (accept(listener), finished)
}

#[test]
fn closing_finishes_everything_first() {
    let (_daemon, mut guest, mut peer, _listener) = setup(FEATURES | Features::CREDIT);
    send_all(&mut guest);
    let finished = finished_before(&mut guest, &something_else()).len();
    assert!(finished < usize::from(MESSAGES), "nothing is held");
    let rest = finished_before(&mut guest, &Request::Close { id: id(1) }).len();
    assert_eq!(finished + rest, usize::from(MESSAGES));
    // And what was sent still arrives.
    let mut got = Vec::new();
    peer.read_to_end(&mut got).unwrap();
    assert_eq!(got.len(), usize::from(MESSAGES) * 3968);
}

#[test]
fn a_peer_that_leaves_finishes_everything() {
    let (_daemon, mut guest, peer, _listener) = setup(FEATURES | Features::CREDIT);
    send_all(&mut guest);
    let finished = finished_before(&mut guest, &something_else()).len();
    drop(peer);
    for _ in finished..usize::from(MESSAGES) {
        guest.wait_used(OUT);
    }
    assert_eq!(guest.receive(), OwnedEvent::Hup(1));
}

#[test]
fn a_driver_that_sleeps_uninterruptibly_never_waits() {
    let (_daemon, mut guest, _peer, _listener) = setup(FEATURES);
    send_all(&mut guest);
    let finished = finished_before(&mut guest, &something_else()).len();
    assert_eq!(finished, usize::from(MESSAGES));
}
