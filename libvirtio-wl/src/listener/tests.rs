//! Accepting over the test driver.

use std::{io::ErrorKind, os::fd::AsFd, sync::Arc};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::Listener;
use crate::{
    accept_record::{ACCEPT_CONTEXT, AcceptRecord, ConnectionName},
    driver::test::{Message, TestDriver, inode, memory},
    label::{Colour, VmId, VmName},
};

fn listening() -> (Listener, u64, Arc<TestDriver>) {
    let (device, driver) = TestDriver::device();
    driver.add_context(ACCEPT_CONTEXT, false, None);
    let listener = device.listen(ACCEPT_CONTEXT).expect("a context");
    let key = inode(&listener);
    (listener, key, driver)
}

fn record(number: u32) -> AcceptRecord {
    AcceptRecord {
        vm_id: VmId(number),
        colour: Colour::from_rgb(1, 2, 3),
        connection: ConnectionName::new(format!("wl-conn-{number}")).expect("a name"),
        vm_name: VmName::new("work").expect("a name"),
    }
}

/// Announces a connection as a host does: the context first.
fn announce(driver: &TestDriver, key: u64, number: u32) {
    let record = record(number);
    driver.add_context(record.connection.as_str(), true, None);
    driver.push(key, Message::new(&record.encode(), vec![]));
}

fn is_readable(listener: &Listener) -> bool {
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).expect("poll");
    fds[0].revents().expect("known").contains(PollFlags::POLLIN)
}

fn errno(listener: &Listener) -> Option<i32> {
    listener.accept().expect_err("no connection").raw_os_error()
}

#[test]
fn one_record_per_accept() {
    let (listener, key, driver) = listening();
    assert_eq!(errno(&listener), Some(libc::EAGAIN));
    // All in one message, as a device may merge them.
    let mut bytes = Vec::new();
    for number in 0..31 {
        let record = record(number);
        driver.add_context(record.connection.as_str(), true, None);
        bytes.extend(record.encode());
    }
    driver.push(key, Message::new(&bytes, vec![]));
    for number in 0..31 {
        assert!(is_readable(&listener));
        let (channel, peer) = listener.accept().expect("a connection");
        assert_eq!(peer.vm_id, VmId(number));
        assert_eq!(peer.vm_name.as_str(), "work");
        assert_eq!(peer.colour, Colour::from_rgb(1, 2, 3));
        assert!(channel.is_readable() && channel.is_writable());
    }
    assert!(!is_readable(&listener));
    assert_eq!(errno(&listener), Some(libc::EAGAIN));
}

#[test]
fn records_in_pieces() {
    let (listener, key, driver) = listening();
    driver.add_context("wl-conn-5", true, None);
    let bytes = record(5).encode();
    for piece in bytes.chunks(50) {
        assert_eq!(errno(&listener), Some(libc::EAGAIN));
        driver.push(key, Message::new(piece, vec![]));
    }
    assert_eq!(listener.accept().expect("a connection").1.vm_id, VmId(5));
}

#[test]
fn connections_that_have_gone_are_passed_over() {
    let (listener, key, driver) = listening();
    for number in 0..4 {
        announce(&driver, key, number);
    }
    for gone in [0, 1, 3] {
        driver.remove_context(&format!("wl-conn-{gone}"));
    }
    assert_eq!(listener.accept().expect("a connection").1.vm_id, VmId(2));
    assert_eq!(errno(&listener), Some(libc::EAGAIN));
}

#[test]
fn malformed_records_are_passed_over() {
    let (listener, key, driver) = listening();
    let mut bytes = record(1).encode();
    bytes[0] = 9;
    driver.push(key, Message::new(&bytes, vec![memory(b"", 1)]));
    announce(&driver, key, 2);
    assert_eq!(listener.accept().expect("a connection").1.vm_id, VmId(2));
}

#[test]
fn a_connection_that_cannot_be_opened_now_is_kept() {
    let (listener, key, driver) = listening();
    announce(&driver, key, 1);
    driver.refuse_context("wl-conn-1", Errno::EMFILE);
    assert_eq!(errno(&listener), Some(libc::EMFILE));
    driver.add_context("wl-conn-1", true, None);
    assert_eq!(listener.accept().expect("a connection").1.vm_id, VmId(1));
}

#[test]
fn the_host_closes_the_listener() {
    let (listener, key, driver) = listening();
    announce(&driver, key, 1);
    driver.hang_up(key);
    assert!(listener.accept().is_ok());
    for _ in 0..2 {
        let error = listener.accept().expect_err("no connection");
        assert_eq!(error.kind(), ErrorKind::NotConnected);
    }
}
