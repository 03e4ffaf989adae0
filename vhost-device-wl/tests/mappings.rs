//! What tells a guest of memory waits until the memory is there.

mod common;

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use common::{Daemon, FEATURES, Frontend, IN, OUT, OwnedEvent, PATIENCE, accept, id};
use virtio_wl::host::control::{Client, List};
use virtio_wl::wire::{ContextName, Features, PipeDirection, Request, Response, VfdFlags};

const WITH_REFRESH: Features = FEATURES.union(Features::REFRESH);

fn memory(raw: u32) -> Request<'static> {
    let flags = VfdFlags::empty();
    Request::NewMemory {
        id: id(raw),
        flags,
        size: 4096,
    }
}

fn pipe(raw: u32) -> Request<'static> {
    let direction = PipeDirection::Read;
    Request::NewPipe {
        id: id(raw),
        direction,
    }
}

fn post(guest: &mut Frontend, slot: u16, request: &Request<'_>) {
    let mut bytes = Vec::new();
    request.encode(guest.features, &mut bytes);
    guest.post_bytes(slot, &bytes);
    guest.kick(OUT);
}

/// The next answer: its slot, and what it is.
fn answer(guest: &mut Frontend) -> (u16, Response) {
    let (head, len) = guest.wait_used(OUT);
    let slot = u16::try_from(head / 2).unwrap();
    let response = Response::parse(&guest.reply_in(slot, len), guest.features).unwrap();
    (slot, response)
}

fn range(response: Response) -> (u64, u32) {
    let Response::VfdNew(info) = response else {
        panic!("{response:?}");
    };
    let memory = info.memory.expect("memory");
    (memory.pfn, memory.size)
}

fn setup() -> (Daemon, Frontend) {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl", "--control", "DIR/control"]);
    let guest = Frontend::telling(&daemon.path("device"), WITH_REFRESH);
    (daemon, guest)
}

fn connect(daemon: &Daemon, guest: &mut Frontend, raw: u32) -> UnixStream {
    let listener = daemon.listen("wl");
    let name = ContextName::DEFAULT;
    post(guest, 20, &Request::NewContext { id: id(raw), name });
    assert!(matches!(answer(guest).1, Response::VfdNew(_)));
    accept(&listener)
}

#[test]
fn an_answer_waits_for_the_table_and_others_do_not_wait_for_it() {
    let (_daemon, mut guest) = setup();
    post(&mut guest, 0, &memory(1));
    post(&mut guest, 1, &pipe(2));
    assert_eq!(answer(&mut guest).0, 1, "the pipe overtakes");
    guest.wait_mapped(1);
    guest.tell();
    let (slot, response) = answer(&mut guest);
    assert_eq!((slot, range(response)), (0, (0, 4096)));
    // The next mapping tells of the one before.
    post(&mut guest, 0, &memory(3));
    post(&mut guest, 1, &memory(4));
    assert_eq!(answer(&mut guest).0, 0);
    guest.wait_mapped(3);
    guest.tell();
    assert_eq!(answer(&mut guest).0, 1);
}

#[test]
fn closing_or_a_reboot_ends_the_wait() {
    let (_daemon, mut guest) = setup();
    post(&mut guest, 0, &memory(1));
    post(&mut guest, 1, &Request::Close { id: id(1) });
    assert_eq!(answer(&mut guest).0, 0);
    assert_eq!(answer(&mut guest), (1, Response::Ok));
    post(&mut guest, 0, &memory(1));
    post(&mut guest, 1, &pipe(2));
    assert_eq!(answer(&mut guest).0, 1);
    guest.reboot();
    // Neither the answer nor the VFD of the old driver.
    post(&mut guest, 5, &pipe(1));
    let (slot, response) = answer(&mut guest);
    assert!(matches!((slot, response), (5, Response::VfdNew(_))));
}

#[test]
fn the_close_of_the_last_memory_waits_until_nothing_is_mapped() {
    let daemon = Daemon::start(&["--control", "DIR/control"]);
    // Others may not be kept waiting.
    let features = FEATURES.union(Features::CREDIT);
    let mut guest = Frontend::telling(&daemon.path("device"), features);
    for raw in [1, 2] {
        post(&mut guest, 0, &memory(raw));
        guest.wait_mapped(usize::try_from(raw).unwrap());
        guest.tell();
        assert_eq!(answer(&mut guest).0, 0);
    }
    let mapped = || {
        let mut control = Client::connect(&daemon.path("control")).unwrap();
        let list = List::default();
        control.call(list, None, PATIENCE).unwrap().totals.mappings
    };
    post(&mut guest, 0, &Request::Close { id: id(1) });
    assert_eq!(answer(&mut guest), (0, Response::Ok));
    assert_eq!(mapped(), 2, "one of them waits for the next of its size");
    post(&mut guest, 0, &Request::Close { id: id(2) });
    assert_eq!(answer(&mut guest), (0, Response::Ok));
    assert_eq!(mapped(), 0);
}

#[test]
fn received_memory_is_announced_when_it_is_there() {
    let (daemon, mut guest) = setup();
    let peer = connect(&daemon, &mut guest, 1);
    let file = common::memfd(8192, 0);
    common::send_fds(&peer, b"memory", &[file.as_raw_fd()]);
    guest.wait_mapped(1);
    // Asked after the device had mapped it: what it knew to say, it has said.
    post(&mut guest, 0, &pipe(2));
    answer(&mut guest);
    let early = guest.try_wait_used(IN, Duration::ZERO);
    assert_eq!(early, None);
    guest.tell();
    let OwnedEvent::New(info) = guest.receive() else {
        panic!("not announced");
    };
    assert_eq!(info.memory.unwrap().size, 8192);
    let expected = OwnedEvent::Recv(1, vec![info.id.get()], b"memory".to_vec());
    assert_eq!(guest.receive(), expected);
}

#[test]
fn a_refresh_waits_as_well() {
    let (daemon, mut guest) = setup();
    let peer = connect(&daemon, &mut guest, 1);
    let file = common::memfd(4096, 0);
    common::send_fds(&peer, b"m", &[file.as_raw_fd()]);
    guest.wait_mapped(1);
    guest.tell();
    let OwnedEvent::New(info) = guest.receive() else {
        panic!("not announced");
    };
    guest.receive();
    file.set_len(12288).unwrap();
    let refresh = Request::Refresh { id: info.id };
    post(&mut guest, 0, &refresh);
    post(&mut guest, 1, &pipe(2));
    assert_eq!(answer(&mut guest).0, 1);
    guest.tell();
    let (slot, response) = answer(&mut guest);
    assert_eq!((slot, range(response)), (0, (1, 12288)));
    // Nothing to wait for when it has not grown.
    post(&mut guest, 0, &refresh);
    assert_eq!(range(answer(&mut guest).1), (1, 12288));
    // Both mappings go with it.
    post(&mut guest, 0, &Request::Close { id: info.id });
    assert_eq!(answer(&mut guest), (0, Response::Ok));
    guest.wait_mapped(0);
}

#[test]
fn a_table_that_is_full_refuses_memory_and_nothing_else() {
    /// Most mappings that are told of.
    const MOST: u32 = 480;
    let (daemon, mut guest) = setup();
    for n in 1..=MOST {
        post(&mut guest, 0, &memory(n));
        guest.wait_mapped(n as usize);
        guest.tell();
        assert!(matches!(answer(&mut guest).1, Response::VfdNew(_)), "{n}");
    }
    post(&mut guest, 0, &memory(1000));
    assert_eq!(answer(&mut guest).1, Response::OutOfMemory);
    post(&mut guest, 0, &Request::Close { id: id(7) });
    assert_eq!(answer(&mut guest).1, Response::Ok);
    // The same size: its mapping is used again.
    post(&mut guest, 0, &memory(1000));
    assert!(matches!(answer(&mut guest).1, Response::VfdNew(_)));
    // Another size: it is ended for it.
    post(&mut guest, 0, &Request::Close { id: id(8) });
    assert_eq!(answer(&mut guest).1, Response::Ok);
    let flags = VfdFlags::empty();
    let other = Request::NewMemory {
        id: id(1001),
        flags,
        size: 8192,
    };
    post(&mut guest, 0, &other);
    post(&mut guest, 1, &pipe(1002));
    assert_eq!(answer(&mut guest).0, 1);
    guest.tell();
    assert_eq!(range(answer(&mut guest).1).1, 8192);
    let mut control = Client::connect(&daemon.path("control")).unwrap();
    let totals = control
        .call(List::default(), None, PATIENCE)
        .unwrap()
        .totals;
    assert_eq!(totals.vfds, u64::from(MOST) + 1);
}
