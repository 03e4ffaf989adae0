use std::{fs::File, os::fd::AsFd as _, thread};

use memfd::MemfdOptions;
use nix::errno::Errno;

use super::super::{
    mock::{MockDevice, map_request},
    tests::{connect, errno, host_id, pair, parsed, recv},
};
use super::*;
use crate::{
    driver::{Driver as _, NewVfd, user::UserDriver},
    wire::{Event, MemoryRange, VfdFlags, VfdKind},
};

const BASE: Features = Features::TRANS_FLAGS.union(Features::USE_SHMEM);
const ALL: Features = BASE.union(Features::REFRESH);
const PAGE: u64 = 4096;

/// Memory of one page at page `pfn` of the region.
fn one_page(id: VfdId, pfn: u64) -> VfdInfo {
    let size = PAGE as u32;
    VfdInfo {
        id,
        flags: VfdFlags::empty(),
        memory: Some(MemoryRange { pfn, size }),
    }
}

fn map(driver: &UserDriver, device: &mut MockDevice, file: &File, offset: u64, len: u64) {
    device.request(&map_request(9, offset, len), Some(file.as_fd()));
    driver.dispatch().unwrap();
    assert_eq!(device.answered(), 0);
}

fn file_of(len: u64) -> File {
    let memfd = MemfdOptions::default().create("test").unwrap();
    memfd.as_file().set_len(len).unwrap();
    memfd.into_file()
}

/// A driver that has received one page, which is mapped at 0x5000.
fn with_a_page(features: Features) -> (UserDriver, MockDevice, NewVfd, File) {
    let (driver, mut device) = pair(features);
    let (stream, id) = connect(&driver, &mut device);
    let file = file_of(PAGE);
    map(&driver, &mut device, &file, 0x5000, PAGE);
    device.send(&Event::VfdNew(one_page(host_id(1), 5)));
    device.send(&Event::Recv {
        id,
        vfds: vec![host_id(1)],
        data: b"m",
    });
    let memory = recv(&driver, &stream, 1).unwrap().1.remove(0);
    (driver, device, memory, file)
}

/// Asks; the device answers with `response`.
fn refreshed(
    driver: &UserDriver,
    device: &mut MockDevice,
    memory: &NewVfd,
    response: Response,
) -> std::io::Result<u64> {
    thread::scope(|scope| {
        let asking = scope.spawn(|| driver.refresh(memory.fd.as_fd()));
        loop {
            let request = device.wait();
            match parsed(&request, device.features) {
                Request::Refresh { id } => {
                    assert_eq!(id, host_id(1));
                    device.answer(&request, response);
                    return asking.join().unwrap();
                }
                // The stream that the memory came on.
                Request::Close { .. } => device.answer(&request, Response::Ok),
                other => panic!("{other:?}"),
            }
        }
    })
}

#[test]
fn a_larger_file_is_seen() {
    let (driver, mut device, memory, file) = with_a_page(ALL);
    file.set_len(4 * PAGE).unwrap();
    map(&driver, &mut device, &file, 0x10_000, 4 * PAGE);
    let mut info = one_page(host_id(1), 0x10);
    info.memory = Some(MemoryRange {
        pfn: 0x10,
        size: 4 * PAGE as u32,
    });
    let size = refreshed(&driver, &mut device, &memory, Response::VfdNew(info)).unwrap();
    assert_eq!(size, 4 * PAGE);
    let kind = driver.identify(memory.fd.as_fd()).unwrap();
    assert_eq!(kind, Some(VfdKind::Memory { size }));
}

#[test]
fn what_is_refused_changes_nothing() {
    let (driver, mut device, memory, _file) = with_a_page(ALL);
    let other = file_of(2 * PAGE);
    map(&driver, &mut device, &other, 0x20_000, 2 * PAGE);
    for (response, expected) in [
        (Response::OutOfMemory, Errno::ENOMEM),
        (Response::Ok, Errno::EPROTO),
        // Of another VFD, not mapped at all, another file.
        (Response::VfdNew(one_page(host_id(2), 5)), Errno::EPROTO),
        (Response::VfdNew(one_page(host_id(1), 6)), Errno::EPROTO),
        (Response::VfdNew(one_page(host_id(1), 0x20)), Errno::EPROTO),
    ] {
        let result = refreshed(&driver, &mut device, &memory, response);
        assert_eq!(errno(result), expected, "{response:?}");
    }
    let kind = driver.identify(memory.fd.as_fd()).unwrap();
    assert_eq!(kind, Some(VfdKind::Memory { size: PAGE }));
}

#[test]
fn a_device_that_cannot_is_not_asked() {
    let (driver, _device, memory, _file) = with_a_page(BASE);
    let result = driver.refresh(memory.fd.as_fd());
    assert_eq!(errno(result), Errno::EOPNOTSUPP);
}

#[test]
fn only_memory_can_be_asked_about() {
    let (driver, mut device) = pair(ALL);
    let (stream, _) = connect(&driver, &mut device);
    assert_eq!(errno(driver.refresh(stream.fd.as_fd())), Errno::EINVAL);
    let file = file_of(PAGE);
    assert_eq!(errno(driver.refresh(file.as_fd())), Errno::ENOTTY);
}
