//! Allocation with and without a memory server.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nix::errno::Errno;

use crate::{
    Device,
    driver::test::{Message, TestDriver, memory},
    memfd_request::{MEMFD_CONTEXT, MemfdRequest, MemfdStatus},
};

/// Adds a server that serves `quota` bytes in all.
fn add_server(driver: &TestDriver, quota: u64) -> Arc<AtomicU64> {
    let left = Arc::new(AtomicU64::new(quota));
    let theirs = Arc::clone(&left);
    let respond = move |bytes: &[u8]| {
        let request = bytes.try_into().map(MemfdRequest::parse);
        let size = request.expect("a request's size").expect("a request").size;
        let old = theirs.load(Ordering::Relaxed);
        vec![if size > old {
            Message::new(&[MemfdStatus::QUOTA.0], vec![])
        } else {
            theirs.store(old - size, Ordering::Relaxed);
            Message::new(&[0], vec![memory(b"", size)])
        }]
    };
    driver.add_context(MEMFD_CONTEXT, false, Some(Box::new(respond)));
    left
}

fn add_answer(driver: &TestDriver, answer: impl Fn() -> Vec<Message> + Send + 'static) {
    driver.add_context(MEMFD_CONTEXT, false, Some(Box::new(move |_| answer())));
}

fn errno(device: &Device, size: u64) -> Option<i32> {
    let error = device.allocate(size).expect_err("no memory");
    io::Error::from(error).raw_os_error()
}

#[test]
fn without_a_server_the_device_serves() {
    let (device, driver) = TestDriver::device();
    for (asked, got) in [(0, 4096), (1, 4096), (4096, 4096), (4097, 8192)] {
        assert_eq!(device.allocate(asked).expect("memory").size(), got);
    }
    assert_eq!(driver.memories_made(), 4);
    // Once found absent, it is not asked for again.
    add_server(&driver, 1 << 20);
    device.allocate(1).expect("memory");
    assert_eq!(driver.memories_made(), 5);
}

#[test]
fn sizes_beyond_the_wire() {
    let (device, _driver) = TestDriver::device();
    assert_eq!(errno(&device, (1 << 32) - 4095), Some(libc::EFBIG));
    assert_eq!(errno(&device, u64::MAX), Some(libc::EFBIG));
}

#[test]
fn the_server_serves_whole_pages_over_one_connection() {
    let (device, driver) = TestDriver::device();
    let left = add_server(&driver, 1 << 20);
    assert_eq!(device.allocate(5000).expect("memory").size(), 8192);
    assert_eq!(device.allocate(1).expect("memory").size(), 4096);
    assert_eq!(left.load(Ordering::Relaxed), (1 << 20) - 12288);
    assert_eq!(driver.opened(MEMFD_CONTEXT).len(), 1);
    assert_eq!(driver.memories_made(), 0);
}

#[test]
fn a_used_up_quota_is_told_and_not_evaded() {
    let (device, driver) = TestDriver::device();
    add_server(&driver, 8192);
    assert_eq!(errno(&device, 16384), Some(libc::EDQUOT));
    // The connection is still in step.
    assert!(device.allocate(8192).is_ok());
    assert_eq!(errno(&device, 1), Some(libc::EDQUOT));
    assert_eq!(driver.memories_made(), 0);
    assert_eq!(driver.opened(MEMFD_CONTEXT).len(), 1);
}

#[test]
fn a_restarted_server_is_found_again() {
    let (device, driver) = TestDriver::device();
    add_server(&driver, 1 << 20);
    assert!(device.allocate(1).is_ok());
    driver.hang_up(driver.opened(MEMFD_CONTEXT)[0]);
    add_server(&driver, 1 << 20);
    assert!(device.allocate(1).is_ok());
    assert_eq!(driver.opened(MEMFD_CONTEXT).len(), 2);
    assert_eq!(driver.memories_made(), 0);
}

#[test]
fn while_the_server_is_away_the_device_serves() {
    let (device, driver) = TestDriver::device();
    add_server(&driver, 1 << 20);
    assert!(device.allocate(1).is_ok());
    driver.hang_up(driver.opened(MEMFD_CONTEXT)[0]);
    driver.remove_context(MEMFD_CONTEXT);
    assert!(device.allocate(1).is_ok());
    assert_eq!(driver.memories_made(), 1);
    add_server(&driver, 1 << 20);
    assert!(device.allocate(1).is_ok());
    assert_eq!(driver.memories_made(), 1);
}

#[test]
fn failures_other_than_absence_are_told() {
    let (device, driver) = TestDriver::device();
    driver.refuse_context(MEMFD_CONTEXT, Errno::EMFILE);
    assert_eq!(errno(&device, 1), Some(libc::EMFILE));
    add_server(&driver, 1 << 20);
    assert!(device.allocate(1).is_ok());
    assert_eq!(driver.memories_made(), 0);
}

#[test]
fn replies_that_are_none() {
    let (device, driver) = TestDriver::device();
    // Success without memory, with too little, with two, with something else.
    add_answer(&driver, || vec![Message::new(&[0], vec![])]);
    assert_eq!(errno(&device, 1), Some(libc::EPROTO));
    add_answer(&driver, || vec![Message::new(&[0], vec![memory(b"", 1)])]);
    assert_eq!(errno(&device, 1), Some(libc::EPROTO));
    add_answer(&driver, || {
        let vfds = vec![memory(b"", 4096), memory(b"", 4096)];
        vec![Message::new(&[0], vfds)]
    });
    assert_eq!(errno(&device, 1), Some(libc::EPROTO));
    // Each time the connection was given up, since nobody knows where it stands.
    add_server(&driver, 1 << 20);
    assert!(device.allocate(1).is_ok());
    assert_eq!(driver.opened(MEMFD_CONTEXT).len(), 4);
}

#[test]
fn memory_ahead_of_the_status() {
    let (device, driver) = TestDriver::device();
    add_answer(&driver, || {
        vec![
            Message::new(&[], vec![memory(b"", 4096)]),
            Message::new(&[0], vec![]),
        ]
    });
    assert_eq!(device.allocate(1).expect("memory").size(), 4096);
}
