//! A guest that breaks every rule: it costs only itself.

mod common;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use common::{
    Daemon, Frontend, INDIRECT, NEXT, OUT, OUT_BUFFERS, OwnedEvent, RING, WRITE, accept, id,
    send_fds,
};
use virtio_wl::wire::{Request, Response, VfdFlags};
use vm_memory::{Bytes, GuestAddress};

/// Where the reply of a hand-made chain goes.
const REPLY: u64 = OUT_BUFFERS + 0x3_0000;

/// The device still answers this guest.
fn still_works(guest: &mut Frontend) {
    assert_eq!(
        guest.request(&Request::Close { id: id(1999) }),
        Response::InvalidId
    );
}

/// One chain of hand-made descriptors; returns what was written.
fn chain(guest: &mut Frontend, descriptors: &[(u64, u32, u16, u16)]) -> u32 {
    for (i, (addr, len, flags, next)) in descriptors.iter().enumerate() {
        guest.describe(OUT, 10 + i as u16, *addr, *len, *flags, *next);
    }
    guest.make_available(OUT, 10);
    guest.kick(OUT);
    let (head, len) = guest.wait_used(OUT);
    assert_eq!(head, 10);
    len
}

#[test]
fn malformed_chains_get_an_error_or_nothing() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let mut guest = daemon.frontend();
    let mut bytes = Vec::new();
    Request::Close { id: id(1999) }.encode(guest.features, &mut bytes);
    guest
        .mem
        .write_slice(&bytes, GuestAddress(OUT_BUFFERS))
        .unwrap();
    let len = u32::try_from(bytes.len()).unwrap();
    let good = (OUT_BUFFERS, len, NEXT, 11);
    // The control: well formed.
    assert_eq!(chain(&mut guest, &[good, (REPLY, 64, WRITE, 0)]), 4);
    // No room, or too little, for the reply.
    assert_eq!(chain(&mut guest, &[(OUT_BUFFERS, len, 0, 0)]), 0);
    assert_eq!(chain(&mut guest, &[good, (REPLY, 2, WRITE, 0)]), 2);
    assert_eq!(chain(&mut guest, &[good, (REPLY, 0, WRITE, 0)]), 0);
    // A reply scattered over single bytes.
    let scattered = [
        good,
        (REPLY, 1, WRITE | NEXT, 12),
        (REPLY + 9, 1, WRITE | NEXT, 13),
        (REPLY + 5, 60, WRITE, 0),
    ];
    assert_eq!(chain(&mut guest, &scattered), 4);
    // Nothing to read.
    assert_eq!(chain(&mut guest, &[(REPLY, 64, WRITE, 0)]), 4);
    assert_eq!(
        chain(
            &mut guest,
            &[(OUT_BUFFERS, 0, NEXT, 11), (REPLY, 64, WRITE, 0)]
        ),
        4
    );
    // Outside guest memory, huge, wrapping.
    for (addr, len) in [
        (1 << 40, len),
        (u64::MAX - 4, len),
        (OUT_BUFFERS, u32::MAX - 64),
        (OUT_BUFFERS, 8 << 20),
    ] {
        assert_eq!(
            chain(&mut guest, &[(addr, len, NEXT, 11), (REPLY, 64, WRITE, 0)]),
            4
        );
    }
    // More than 4 GiB in all is no chain, whatever is in it.
    let too_long = [(OUT_BUFFERS, u32::MAX, NEXT, 11), (REPLY, 64, WRITE, 0)];
    assert_eq!(chain(&mut guest, &too_long), 0);
    assert_eq!(chain(&mut guest, &[good, (1 << 40, 64, WRITE, 0)]), 0);
    assert_eq!(chain(&mut guest, &[good, (u64::MAX, 64, WRITE, 0)]), 0);
    // Readable behind writable.
    let backwards = [(REPLY, 64, WRITE | NEXT, 11), (OUT_BUFFERS, len, 0, 0)];
    assert_eq!(chain(&mut guest, &backwards), 4);
    // A loop; a next that is out of range.
    chain(
        &mut guest,
        &[(OUT_BUFFERS, len, NEXT, 11), (REPLY, 64, WRITE | NEXT, 10)],
    );
    chain(&mut guest, &[(OUT_BUFFERS, len, NEXT, 10)]);
    chain(&mut guest, &[(OUT_BUFFERS, len, NEXT, 60000)]);
    // Indirect tables, which were not negotiated: a table in itself, and nonsense.
    chain(&mut guest, &[(OUT_BUFFERS, 16, INDIRECT, 0)]);
    chain(
        &mut guest,
        &[(common::desc_table(OUT) + 160, 16, INDIRECT, 0)],
    );
    chain(&mut guest, &[(OUT_BUFFERS, 17, INDIRECT, 0)]);
    chain(&mut guest, &[(1 << 50, 0xffff_fff0, INDIRECT, 0)]);
    still_works(&mut guest);
}

#[test]
fn a_request_as_long_as_memory_is_refused_unread() {
    let daemon = Daemon::start(&[]);
    let mut guest = daemon.frontend();
    // 256 descriptors of 2 MiB each over the same bytes.
    for i in 0..RING {
        let last = i == RING - 1;
        let (flags, next) = if last { (WRITE, 0) } else { (NEXT, i + 1) };
        let at = if last { REPLY } else { 0 };
        guest.describe(OUT, i, at, 2 << 20, flags, next);
    }
    guest.make_available(OUT, 0);
    guest.kick(OUT);
    assert_eq!(guest.wait_used(OUT), (0, 4));
    still_works(&mut guest);
}

#[test]
fn garbage_requests_are_answered() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    guest.open(1);
    let _peer = accept(&listener);
    let mut state = 0x1234_5678_9abc_def0_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..2000_u64 {
        let len = (random() % 200) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| random() as u8).collect();
        // Often enough something that looks like a request about a VFD that exists.
        if round % 2 == 0 && len >= 16 {
            let kind = 0x100 + (random() % 0xc) as u32;
            bytes[..4].copy_from_slice(&kind.to_le_bytes());
            bytes[4..8].fill(0);
            bytes[8..12].copy_from_slice(&((random() % 8) as u32).to_le_bytes());
            bytes[12..16].copy_from_slice(&((random() % 4) as u32).to_le_bytes());
        }
        let reply = guest.exchange(&bytes);
        assert!(reply.len() >= 4, "{bytes:x?}");
        Response::parse(&reply, guest.features).unwrap();
        // Keep the `in` ring moving: some of these requests opened contexts.
        while guest
            .try_receive_raw(Duration::ZERO)
            .is_some_and(|(head, _)| {
                guest.give_back(head);
                true
            })
        {}
    }
    still_works(&mut guest);
}

#[test]
fn an_index_that_jumps_disables_its_ring_until_it_is_set_up_again() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    guest.open(1);
    let mut peer = accept(&listener);
    guest.set_avail_index(OUT, 40_000);
    guest.kick(OUT);
    // The other ring goes on.
    peer.write_all(b"still").unwrap();
    assert_eq!(
        guest.receive(),
        OwnedEvent::Recv(1, vec![], b"still".to_vec())
    );
    guest.reboot();
    assert!(matches!(guest.open(1), Response::VfdNew(_)));
}

#[test]
fn one_bad_guest_does_not_touch_its_neighbour() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl", "--max-frontends", "3"]);
    let listener = daemon.listen("wl");
    let mut good = daemon.frontend();
    good.open(1);
    let mut peer = accept(&listener);
    let mut bad = daemon.frontend();
    bad.set_avail_index(OUT, 30_000);
    bad.kick(OUT);
    // And one that says nothing at all, or nonsense, on the vhost-user socket.
    let _silent = UnixStream::connect(daemon.path("device")).unwrap();
    for _ in 0..20 {
        assert_eq!(good.send(1, b"ping"), Response::Ok);
        peer.read_exact(&mut [0; 4]).unwrap();
        peer.write_all(b"pong").unwrap();
        assert_eq!(
            good.receive(),
            OwnedEvent::Recv(1, vec![], b"pong".to_vec())
        );
    }
    drop(bad);
    let mut nonsense = UnixStream::connect(daemon.path("device")).unwrap();
    let _ = nonsense.write_all(&[0xff; 4096]);
    assert_eq!(good.send(1, b"ping"), Response::Ok);
}

#[test]
fn quotas_hold_and_memory_counts_until_its_last_holder_is_gone() {
    let options = [
        "--wayland-sock",
        "DIR/wl",
        "--max-memory",
        "65536",
        "--max-vfds",
        "20",
    ];
    let daemon = Daemon::start(&options);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    guest.open(1);
    let peer = accept(&listener);
    let memory = |guest: &mut Frontend, raw, size| {
        guest.request(&Request::NewMemory {
            id: id(raw),
            flags: VfdFlags::empty(),
            size,
        })
    };
    assert!(matches!(memory(&mut guest, 2, 65536), Response::VfdNew(_)));
    assert_eq!(memory(&mut guest, 3, 1), Response::OutOfMemory);
    let attach = Request::Send {
        id: id(1),
        vfds: vec![id(2)],
        data: b"m",
    };
    assert_eq!(guest.request(&attach), Response::Ok);
    assert_eq!(guest.request(&Request::Close { id: id(2) }), Response::Ok);
    // The message holds it; then the peer does.
    assert_eq!(memory(&mut guest, 3, 1), Response::OutOfMemory);
    let (_, fds) = common::recv_fds(&peer);
    assert_eq!(memory(&mut guest, 3, 1), Response::OutOfMemory);
    drop(fds);
    assert!(matches!(memory(&mut guest, 3, 65536), Response::VfdNew(_)));
    assert_eq!(guest.request(&Request::Close { id: id(3) }), Response::Ok);

    let mut opened = 0;
    while matches!(guest.open(100 + opened), Response::VfdNew(_)) {
        opened += 1;
        assert!(opened < 30);
    }
    assert_eq!(opened, 19);
    for raw in 0..opened {
        assert_eq!(
            guest.request(&Request::Close { id: id(100 + raw) }),
            Response::Ok
        );
    }
    // Descriptors from a peer count as well; what is too much arrives dead.
    let (reader, _writer) = nix::unistd::pipe().unwrap();
    send_fds(&peer, b"many", &[reader.as_raw_fd(); 28]);
    let mut dead = 0;
    for _ in 0..28 {
        let OwnedEvent::New(info) = guest.receive() else {
            panic!()
        };
        dead += usize::from(info.flags.is_empty());
    }
    assert!(matches!(guest.receive(), OwnedEvent::Recv(1, ids, _) if ids.len() == 28));
    assert_eq!(dead, 9);
}

#[test]
fn nothing_leaks_over_a_thousand_connections() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    let cycle = |guest: &mut Frontend| {
        guest.open(1);
        let peer = accept(&listener);
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let memory = common::memfd(4096, 0);
        let copied = common::memfd(100, libc::F_SEAL_WRITE);
        let raw = [
            reader.as_raw_fd(),
            writer.as_raw_fd(),
            memory.as_raw_fd(),
            copied.as_raw_fd(),
        ];
        send_fds(&peer, b"x", &raw);
        let mut ids = Vec::new();
        while ids.is_empty() {
            if let OwnedEvent::Recv(_, vfds, _) = guest.receive() {
                ids = vfds;
            }
        }
        // The device alone holds both ends of the pipe: only the connection ends.
        drop((peer, reader, writer));
        assert_eq!(guest.receive(), OwnedEvent::Hup(1));
        for raw in ids.into_iter().chain([1]) {
            assert_eq!(guest.request(&Request::Close { id: id(raw) }), Response::Ok);
        }
    };
    cycle(&mut guest);
    let before = daemon.descriptors();
    for _ in 0..1000 {
        cycle(&mut guest);
    }
    assert_eq!(daemon.descriptors(), before);
    guest.wait_mapped(0);
}

#[test]
fn a_frontend_that_comes_and_goes_leaves_nothing() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let visit = || {
        let mut guest = daemon.frontend();
        guest.open(1);
        let mut peer = accept(&listener);
        drop(guest);
        // It ended when the device has closed its connections.
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    };
    visit();
    visit();
    let before = daemon.descriptors();
    for _ in 0..50 {
        visit();
    }
    // The last visitor's remains may not be cleared away yet.
    assert!(
        daemon.descriptors() <= before + 20,
        "{before} -> {}",
        daemon.descriptors()
    );
}
