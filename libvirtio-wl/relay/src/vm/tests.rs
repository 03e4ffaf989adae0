use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use super::*;

/// A client's connection as over virtio_wl: nothing tells when there is room to send.
#[derive(Debug)]
struct Unpolled(UnixStream);

impl Transport for Unpolled {
    fn recv(&mut self, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
        self.0.recv(bytes, fds)
    }

    fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.0.send(bytes, fds)
    }

    fn polls_writable(&self) -> bool {
        false
    }
}

impl AsFd for Unpolled {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn vm() -> Vm {
    Vm::new("work".parse().unwrap()).unwrap()
}

/// Adds a link; its client, and the compositor's end.
fn add(vm: &mut Vm, id: u64) -> (UnixStream, UnixStream) {
    let (client, transport) = UnixStream::pair().unwrap();
    let (compositor, display) = UnixStream::pair().unwrap();
    for end in [&client, &transport, &compositor, &display] {
        end.set_nonblocking(true).unwrap();
    }
    vm.add(LinkId(id), Box::new(Unpolled(transport)), display)
        .unwrap();
    (client, compositor)
}

fn drain(mut from: &UnixStream) -> usize {
    let (mut total, mut bytes) = (0, [0; 4096]);
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        total += count;
    }
    total
}

#[test]
fn each_of_many_busy_connections_has_its_turn() {
    let mut vm = vm();
    let ends: Vec<_> = (0..4 * EVENTS_PER_TURN as u64)
        .map(|id| add(&mut vm, id))
        .collect();
    let mut passed = vec![0; ends.len()];
    // All always have something to say.
    for _ in 0..8 {
        for (client, _) in &ends {
            while { client }.write(&[0; 4096]).is_ok() {}
        }
        vm.turn().unwrap();
        for ((_, compositor), passed) in ends.iter().zip(&mut passed) {
            *passed += drain(compositor);
        }
    }
    // Eight turns are two for each.
    let bytes = virtio_wl_bridge::inbound::BYTES_PER_TURN;
    assert_eq!(passed, vec![2 * bytes; ends.len()]);
}

#[test]
fn what_a_client_does_not_take_is_tried_again_ever_less_often() {
    let mut vm = vm();
    let (client, compositor) = add(&mut vm, 7);
    // Until a link waits for its client.
    let stuck = loop {
        { &compositor }.write_all(&[1; 4096]).unwrap();
        let stuck = vm.turn().unwrap();
        if !stuck.is_empty() {
            break stuck;
        }
    };
    assert_eq!(stuck, [LinkId(7)]);
    { &compositor }.write_all(&[1; 4096]).unwrap();
    assert_eq!(vm.turn().unwrap(), [], "named once");
    let mut pauses = Vec::new();
    while pauses.last() != Some(&LONGEST_RETRY) {
        pauses.push(vm.retry(LinkId(7)).unwrap());
    }
    assert!(pauses.is_sorted() && pauses.len() < 16, "{pauses:?}");
    // Progress counts.
    let mut taken = [0; 100_000];
    { &client }.read_exact(&mut taken).unwrap();
    if let Some(pause) = vm.retry(LinkId(7)) {
        assert_eq!(pause, RETRY);
    }
    drain(&client);
    assert_eq!(vm.retry(LinkId(7)), None);
}

#[test]
fn last_words_wait_for_their_client_then_it_is_over() {
    let mut vm = vm();
    let (client, compositor) = add(&mut vm, 1);
    let mut sent = 0;
    while vm.turn().unwrap().is_empty() {
        { &compositor }.write_all(&[1; 4096]).unwrap();
        sent += 4096;
    }
    { &compositor }.write_all(b"error").unwrap();
    drop(compositor);
    for _ in 0..4 {
        assert_eq!(vm.turn().unwrap(), []);
    }
    assert!(!vm.is_empty());
    let mut got = drain(&client);
    while vm.retry(LinkId(1)).is_some() {
        got += drain(&client);
    }
    got += drain(&client);
    assert_eq!(got, sent + b"error".len());
    assert!(vm.is_empty());
}

#[test]
fn either_side_that_leaves_ends_a_link() {
    let mut vm = vm();
    let (client, compositor) = add(&mut vm, 1);
    drop(client);
    vm.turn().unwrap();
    assert!(vm.is_empty());
    assert_eq!({ &compositor }.read(&mut [0; 8]).unwrap(), 0);

    let (client, compositor) = add(&mut vm, 2);
    drop(compositor);
    vm.turn().unwrap();
    assert!(vm.is_empty());
    assert_eq!({ &client }.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_vm_has_room_for_so_many() {
    let mut vm = vm();
    let ends: Vec<_> = (0..MAX_LINKS as u64).map(|id| add(&mut vm, id)).collect();
    assert!(!vm.has_room());
    drop(ends);
    while !vm.is_empty() {
        vm.turn().unwrap();
    }
    assert!(vm.has_room());
}
