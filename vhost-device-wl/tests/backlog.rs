//! Readers that are slow, or never come: they cost only themselves.

mod common;

use std::io::{Read, Write};
use std::time::Duration;

use common::{Daemon, Frontend, OwnedEvent, PATIENCE, accept, id};
use virtio_wl::host::control::{Client, List};
use virtio_wl::wire::{Features, Request, Response};

#[test]
fn a_vfd_that_nobody_reads_stalls_no_other() {
    // Without credit, as an old driver.
    let features = Features::TRANS_FLAGS | Features::USE_SHMEM;
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = Frontend::with_features(&daemon.path("device"), features);
    guest.open(1);
    let neglected = accept(&listener);
    guest.open(2);
    let mut lively = accept(&listener);
    // More than all buffers can hold, for a reader that never comes.
    neglected.set_nonblocking(true).unwrap();
    let mut held = Vec::new();
    let chunk = [7; 3968];
    // It stops at half of the buffers.
    while held.len() < 128 {
        let _ = (&neglected).write(&chunk);
        let (head, bytes) = guest.receive_raw();
        assert!(matches!(
            OwnedEvent::parse(&bytes, features),
            OwnedEvent::Recv(1, _, _)
        ));
        held.push(head);
    }
    while (&neglected).write(&chunk).is_ok() {}
    for _ in 0..500 {
        lively.write_all(b"tick").unwrap();
        loop {
            let (head, bytes) = guest.receive_raw();
            match OwnedEvent::parse(&bytes, features) {
                OwnedEvent::Recv(2, _, data) => {
                    assert_eq!(data, b"tick");
                    guest.give_back(head);
                    break;
                }
                OwnedEvent::Recv(1, _, _) => held.push(head),
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(held.len() <= 128, "{} buffers are held", held.len());
    // The reader comes after all: it goes on where it was.
    let before = held.len();
    for head in held.drain(..) {
        guest.give_back(head);
    }
    for _ in 0..before / 4 {
        assert!(matches!(guest.receive(), OwnedEvent::Recv(1, _, _)));
    }
}

#[test]
fn a_driver_with_credit_gets_no_more_than_it_granted() {
    let features = common::FEATURES | Features::CREDIT;
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = Frontend::with_features(&daemon.path("device"), features);
    guest.open(1);
    let mut peer = accept(&listener);
    let total = 600 * 1024;
    let writer = std::thread::spawn(move || {
        peer.write_all(&vec![1; total]).unwrap();
        peer
    });
    let initial = virtio_wl::limits::INITIAL_CREDIT as usize;
    let mut got = 0;
    while got < initial {
        let OwnedEvent::Recv(1, _, data) = guest.receive() else {
            panic!()
        };
        got += data.len();
    }
    // Nothing more comes: there is no event for that, only time.
    assert!(guest.try_receive_raw(Duration::from_millis(200)).is_none());
    assert!(got < initial + 3968, "{got}");
    let credit = Request::Credit {
        id: id(1),
        units: u32::try_from(got).unwrap(),
    };
    assert_eq!(guest.request(&credit), Response::Ok);
    while got < total {
        let OwnedEvent::Recv(1, _, data) = guest.receive() else {
            panic!()
        };
        got += data.len();
        if got > 2 * initial {
            let units = u32::try_from(data.len()).unwrap();
            assert_eq!(
                guest.request(&Request::Credit { id: id(1), units }),
                Response::Ok
            );
        }
    }
    drop(writer.join().unwrap());
    assert_eq!(guest.receive(), OwnedEvent::Hup(1));
    let unknown = Request::Credit {
        id: id(9),
        units: 1,
    };
    assert_eq!(guest.request(&unknown), Response::InvalidId);
}

#[test]
fn a_peer_that_never_reads_is_cut_off_at_a_bound_and_stalls_nobody() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl", "--control", "DIR/control"]);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    guest.open(1);
    let stuck = accept(&listener);
    guest.open(2);
    let mut lively = accept(&listener);
    let data = [9; 3968];
    let mut taken = 0;
    while guest.send(1, &data) == Response::Ok {
        taken += data.len();
        assert!(taken < 8 << 20, "there is no bound");
        if taken % (100 * data.len()) == 0 {
            assert_eq!(guest.send(2, b"ok"), Response::Ok);
            lively.read_exact(&mut [0; 2]).unwrap();
        }
    }
    assert!(taken >= 1 << 20, "cut off after {taken} bytes");
    assert_eq!(guest.receive(), OwnedEvent::Hup(1));
    assert_eq!(guest.send(1, &data), Response::InvalidType);
    assert_eq!(guest.send(2, b"ok"), Response::Ok);
    let mut control = Client::connect(&daemon.path("control")).unwrap();
    let totals = control
        .call(List::default(), None, PATIENCE)
        .unwrap()
        .totals;
    assert_eq!(totals.queued_bytes, 0);
    drop(stuck);
}

#[test]
fn what_a_slow_peer_did_not_take_arrives_later_in_order() {
    let daemon = Daemon::start(&["--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    guest.open(1);
    let mut peer = accept(&listener);
    let mut expected = Vec::new();
    for i in 0..200_u32 {
        let data = vec![i as u8; 3968];
        assert_eq!(guest.send(1, &data), Response::Ok);
        expected.extend(data);
    }
    let mut got = vec![0; expected.len()];
    peer.read_exact(&mut got).unwrap();
    assert!(got == expected);
}
