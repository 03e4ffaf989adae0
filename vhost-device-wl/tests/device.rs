//! The real daemon, driven by a frontend written by hand.

mod common;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;

use common::{Daemon, Frontend, OwnedEvent, accept, id, memfd, recv_fds, send_fds};
use virtio_wl::wire::{ContextName, Features, PipeDirection, Request, Response, VfdFlags};
use vm_memory::{Bytes, GuestAddress};

fn connect(frontend: &mut Frontend, raw: u32, name: &str) -> Response {
    frontend.request(&Request::NewContext {
        id: id(raw),
        name: ContextName::new(name).unwrap(),
    })
}

fn send(frontend: &mut Frontend, raw: u32, vfds: &[u32], data: &[u8]) -> Response {
    let vfds = vfds.iter().map(|raw| id(*raw)).collect();
    frontend.request(&Request::Send {
        id: id(raw),
        vfds,
        data,
    })
}

fn close(frontend: &mut Frontend, raw: u32) -> Response {
    frontend.request(&Request::Close { id: id(raw) })
}

#[test]
fn bytes_travel_both_ways_and_the_end_is_reported_once() {
    let daemon = Daemon::start(&[
        "--wayland-sock",
        "DIR/wl",
        "--wayland-sock",
        "DIR/other,name=other",
    ]);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    let Response::VfdNew(info) = connect(&mut guest, 1, "") else {
        panic!("not connected");
    };
    assert_eq!(info.flags, VfdFlags::READ | VfdFlags::WRITE);
    assert_eq!(info.memory, None);
    let mut peer = accept(&listener);

    assert_eq!(send(&mut guest, 1, &[], b"hello"), Response::Ok);
    let mut buf = [0; 5];
    peer.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"hello");

    peer.write_all(b"world").unwrap();
    assert_eq!(
        guest.receive(),
        OwnedEvent::Recv(1, vec![], b"world".to_vec())
    );

    peer.write_all(b"last words").unwrap();
    drop(peer);
    assert_eq!(
        guest.receive(),
        OwnedEvent::Recv(1, vec![], b"last words".to_vec())
    );
    assert_eq!(guest.receive(), OwnedEvent::Hup(1));
    // The peer is gone: an error of the host first, then of the VFD.
    assert_eq!(send(&mut guest, 1, &[], b"x"), Response::Err);
    assert_eq!(send(&mut guest, 1, &[], b"x"), Response::InvalidType);
    assert_eq!(close(&mut guest, 1), Response::Ok);
    assert_eq!(close(&mut guest, 1), Response::InvalidId);

    // Nobody listens there.
    assert_eq!(connect(&mut guest, 1, "other"), Response::Err);
    assert_eq!(connect(&mut guest, 1, "unknown"), Response::Err);
}

#[test]
fn memory_is_mapped_sealed_and_passed_on() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    connect(&mut guest, 1, "");
    let peer = accept(&listener);

    let new = Request::NewMemory {
        id: id(2),
        flags: VfdFlags::empty(),
        size: 5000,
    };
    let Response::VfdNew(info) = guest.request(&new) else {
        panic!("no memory");
    };
    let range = info.memory.unwrap();
    assert_eq!((range.size, info.flags), (8192, VfdFlags::empty()));
    let file = {
        let maps = guest.maps.0.lock().unwrap();
        let (offset, len, file) = &maps[0];
        assert_eq!((*offset, *len), (range.offset(), 8192));
        file.try_clone().unwrap()
    };
    let seals = nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_GET_SEALS).unwrap();
    let wanted = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    assert_eq!(seals & wanted, wanted);

    assert_eq!(send(&mut guest, 1, &[2], b"m"), Response::Ok);
    let (bytes, fds) = recv_fds(&peer);
    assert_eq!((bytes.as_slice(), fds.len()), (&b"m"[..], 1));
    std::os::unix::fs::FileExt::write_all_at(&fds[0], b"shared", 100).unwrap();
    let mut seen = [0; 6];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut seen, 100).unwrap();
    assert_eq!(&seen, b"shared");

    assert_eq!(close(&mut guest, 2), Response::Ok);
    guest.wait_mapped(0);
}

#[test]
fn received_descriptors_are_announced_before_their_bytes() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    connect(&mut guest, 1, "");
    let peer = accept(&listener);

    let shareable = memfd(4096, 0);
    let sealed = memfd(4096, libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK);
    let odd_size = memfd(5000, 0);
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let event = nix::sys::eventfd::EventFd::new().unwrap();
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let raw = [
        shareable.as_raw_fd(),
        sealed.as_raw_fd(),
        odd_size.as_raw_fd(),
        reader.as_raw_fd(),
        writer.as_raw_fd(),
        std::os::fd::AsFd::as_fd(&event).as_raw_fd(),
        socket.as_raw_fd(),
    ];
    send_fds(&peer, b"payload", &raw);
    let mut new = Vec::new();
    for _ in 0..raw.len() {
        match guest.receive() {
            OwnedEvent::New(info) => new.push(info),
            other => panic!("{other:?} before all VFD_NEW"),
        }
    }
    let ids: Vec<u32> = new.iter().map(|info| info.id.get()).collect();
    assert_eq!(
        guest.receive(),
        OwnedEvent::Recv(1, ids, b"payload".to_vec())
    );
    let sizes: Vec<_> = new.iter().map(|info| info.memory.map(|m| m.size)).collect();
    assert_eq!(
        sizes,
        [Some(4096), Some(4096), Some(5000), None, None, None, None]
    );
    let flags: Vec<_> = new.iter().map(|info| info.flags.bits()).collect();
    assert_eq!(flags, [0, 0, 0, 2, 1, 0, 3]);

    // The writable one is the very same memory, and cannot shrink any more.
    assert!(shareable.set_len(0).is_err());
    assert!(
        shareable.set_len(8192).is_ok(),
        "its owner may still grow it"
    );
    // The others are copies.
    let maps = guest.maps.0.lock().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&maps[0].2, b"guest", 0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&maps[1].2, b"guest", 0).unwrap();
    let mut seen = [0; 5];
    std::os::unix::fs::FileExt::read_exact_at(&shareable, &mut seen, 0).unwrap();
    assert_eq!(&seen, b"guest");
    std::os::unix::fs::FileExt::read_exact_at(&sealed, &mut seen, 0).unwrap();
    assert_eq!(&seen, &[0; 5]);
}

#[test]
fn pipes_carry_their_direction_and_their_end() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    connect(&mut guest, 1, "");
    let peer = accept(&listener);

    let new = Request::NewPipe {
        id: id(2),
        direction: PipeDirection::Read,
    };
    let Response::VfdNew(info) = guest.request(&new) else {
        panic!()
    };
    assert_eq!(info.flags, VfdFlags::READ);
    assert_eq!(send(&mut guest, 1, &[2], b"p"), Response::Ok);
    let (_, mut fds) = recv_fds(&peer);
    fds[0].write_all(b"through the pipe").unwrap();
    assert_eq!(
        guest.receive(),
        OwnedEvent::Recv(2, vec![], b"through the pipe".to_vec())
    );
    fds.clear();
    assert_eq!(guest.receive(), OwnedEvent::Hup(2));
    // The far end exists once.
    assert_eq!(send(&mut guest, 1, &[2], b"p"), Response::InvalidType);

    let new = Request::NewPipe {
        id: id(3),
        direction: PipeDirection::Write,
    };
    let Response::VfdNew(info) = guest.request(&new) else {
        panic!()
    };
    assert_eq!(info.flags, VfdFlags::WRITE);
    assert_eq!(send(&mut guest, 1, &[3], b"p"), Response::Ok);
    let (_, mut fds) = recv_fds(&peer);
    assert_eq!(send(&mut guest, 3, &[], b"from the guest"), Response::Ok);
    let mut buf = [0; 14];
    fds[0].read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"from the guest");
    // The reader leaves.
    fds.clear();
    assert_eq!(guest.receive(), OwnedEvent::Hup(3));
}

#[test]
fn guest_memory_that_can_shrink_is_refused() {
    let mut daemon = Daemon::start(&[]);
    let path = daemon.path("device");
    let file = memfd(8 << 20, 0);
    assert!(Frontend::handshake(&path, common::FEATURES, &file).is_err());
    // Sealed, but shorter than the region: an access would be fatal at once.
    let file = memfd(4096, libc::F_SEAL_SHRINK);
    assert!(Frontend::handshake(&path, common::FEATURES, &file).is_err());
    assert!(daemon.is_alive());
    // The next frontend is served.
    let mut guest = daemon.frontend();
    assert_eq!(connect(&mut guest, 1, ""), Response::Err);
}

#[test]
fn a_driver_that_starts_over_finds_nothing_of_the_old_one() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    connect(&mut guest, 1, "");
    let mut peer = accept(&listener);
    guest.reboot();
    assert!(matches!(connect(&mut guest, 1, ""), Response::VfdNew(_)));
    assert_eq!(
        peer.read(&mut [0; 8]).unwrap(),
        0,
        "the old connection ended"
    );
}

#[test]
fn a_driver_that_pauses_its_rings_goes_on_where_it_was() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    connect(&mut guest, 1, "");
    let mut peer = accept(&listener);
    for q in [common::IN, common::OUT] {
        let base = guest.stop_ring(q);
        peer.write_all(b"x").unwrap();
        guest.start_ring(q, u16::try_from(base).unwrap());
    }
    assert_eq!(send(&mut guest, 1, &[], b"y"), Response::Ok);
    let mut got = Vec::new();
    while got.len() < 2 {
        match guest.receive() {
            OwnedEvent::Recv(1, _, data) => got.extend(data),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn one_kick_and_one_interrupt_each_way() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    connect(&mut guest, 1, "");
    let _peer = accept(&listener);
    // Buffers of the `in` queue come back without a kick while there are enough.
    let event = guest.avail_event(common::IN);
    for _ in 0..10 {
        let head = GuestAddress(common::avail_ring(common::IN) + 4);
        let _: u16 = guest.mem.read_obj(head).unwrap();
        assert_eq!(send(&mut guest, 1, &[], b"ping"), Response::Ok);
    }
    assert_eq!(guest.avail_event(common::IN), event);
}

#[test]
fn features_can_be_left_out() {
    let all = Daemon::start(&[]).frontend().offered;
    assert_eq!(all, Features::all());
    let without = [
        "--without-feature",
        "credit",
        "--without-feature",
        "refresh",
    ];
    let daemon = Daemon::start(&without);
    let mut guest = daemon.frontend();
    assert_eq!(guest.offered, all - Features::CREDIT - Features::REFRESH);
    let refresh = Request::Refresh { id: id(1) };
    assert_eq!(guest.request(&refresh), Response::InvalidCmd);
}
