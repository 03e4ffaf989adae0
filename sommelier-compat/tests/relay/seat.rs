//! Descriptors in events and requests: keymaps and selections.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use wayland_client::protocol::{wl_data_device_manager::WlDataDeviceManager, wl_seat::WlSeat};

use crate::fixture::Fixture;
use crate::painter::memfd;

#[test]
fn a_keymap_arrives() {
    let mut fixture = Fixture::new();
    let keymap = memfd(6);
    keymap.write_all_at(b"keymap", 0).expect("a memfd");
    fixture.server.keymap = Some(keymap.into());
    let seat: WlSeat = fixture.peer().bind();
    seat.get_keyboard(&fixture.peer().handle(), ());
    fixture.settle();
    let (fd, size) = fixture.peer().state.keymaps.pop().expect("a keymap");
    let mut content = vec![0; size as usize];
    File::from(fd)
        .read_exact_at(&mut content, 0)
        .expect("a file");
    assert_eq!(content, b"keymap");
}

#[test]
fn descriptors_of_events_for_destroyed_objects_do_not_shift_later_ones() {
    let mut fixture = Fixture::new();
    let keymap = memfd(6);
    keymap.write_all_at(b"first!", 0).expect("a memfd");
    fixture.server.keymap = Some(keymap.into());
    let seat: WlSeat = fixture.peer().bind();
    let handle = fixture.peer().handle();
    // The keymap for this one is under way when it is destroyed.
    seat.get_keyboard(&handle, ()).release();
    fixture.settle();
    fixture.peer().state.keymaps.clear();

    let keymap = memfd(6);
    keymap.write_all_at(b"second", 0).expect("a memfd");
    fixture.server.keymap = Some(keymap.into());
    seat.get_keyboard(&handle, ());
    fixture.settle();
    let (fd, _) = fixture.peer().state.keymaps.pop().expect("a keymap");
    let mut content = [0; 6];
    File::from(fd)
        .read_exact_at(&mut content, 0)
        .expect("a file");
    assert_eq!(&content, b"second");
}

#[test]
fn a_selection_travels_from_source_to_offer_and_ends() {
    let mut fixture = Fixture::new();
    let seat: WlSeat = fixture.peer().bind();
    let manager: WlDataDeviceManager = fixture.peer().bind();
    let handle = fixture.peer().handle();
    let device = manager.get_data_device(&seat, &handle, ());
    let source = manager.create_data_source(&handle, ());
    source.offer("text/plain".into());
    device.set_selection(Some(&source), 1);
    fixture.settle();

    let offer = fixture
        .peer()
        .state
        .offer
        .take()
        .expect("an offer made by the host");
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    offer.receive("text/plain".into(), writer.as_fd());
    drop(writer);
    fixture.settle();
    let (mime, fd) = fixture.peer().state.sends.pop().expect("a request to send");
    assert_eq!(mime, "text/plain");
    File::from(fd).write_all(b"selected").expect("a pipe");
    let mut text = String::new();
    reader
        .read_to_string(&mut text)
        .expect("the end: no copy of the pipe is left open");
    assert_eq!(text, "selected");

    // Host-made objects come and go without delete_id; the next one may have
    // the same id.
    offer.destroy();
    device.set_selection(Some(&source), 2);
    fixture.settle();
    assert!(fixture.peer().state.offer.is_some());
    assert_eq!(fixture.peer().error(), None);
}

#[test]
fn only_pipes_are_taken_for_a_selection() {
    let mut fixture = Fixture::new();
    let seat: WlSeat = fixture.peer().bind();
    let manager: WlDataDeviceManager = fixture.peer().bind();
    let handle = fixture.peer().handle();
    let device = manager.get_data_device(&seat, &handle, ());
    let source = manager.create_data_source(&handle, ());
    source.offer("text/plain".into());
    device.set_selection(Some(&source), 1);
    fixture.settle();
    let offer = fixture.peer().state.offer.take().expect("an offer");
    let file: OwnedFd = memfd(10).into();
    let (socket, _other) = std::os::unix::net::UnixStream::pair().expect("sockets");
    offer.receive("text/plain".into(), file.as_fd());
    offer.receive("text/plain".into(), socket.as_fd());
    fixture.settle();
    assert!(fixture.peer().state.sends.is_empty(), "nothing to write to");
    assert_eq!(fixture.peer().error(), None, "and no harm done");
}
