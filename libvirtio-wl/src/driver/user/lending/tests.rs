use memfd::MemfdOptions;
use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::*;
use crate::mapping::Mapping;

fn memory() -> (FileId, Arc<OwnedFd>) {
    let memfd = MemfdOptions::default().create("test").unwrap();
    memfd.as_file().set_len(4096).unwrap();
    let file = Arc::new(OwnedFd::from(memfd.into_file()));
    (FileId::of(&file).unwrap(), file)
}

fn id(raw: u32) -> VfdId {
    VfdId::new(raw).unwrap()
}

/// Everything returned once the watch has something to say.
fn returned(lending: &mut Lending) -> Vec<VfdId> {
    let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut fds: Vec<_> = lending.events().map(readable).collect();
    let limit = PollTimeout::from(30_000_u16);
    assert_eq!(poll(&mut fds, limit), Ok(1), "nothing was told");
    lending.returned()
}

#[test]
fn returned_with_the_last_duplicate() {
    let mut lending = Lending::new();
    let (identity, file) = memory();
    let fd = lending.lend(id(1), identity, &file).unwrap();
    let duplicate = fd.try_clone().unwrap();
    drop(fd);
    assert_eq!(lending.returned(), []);
    drop(duplicate);
    assert_eq!(returned(&mut lending), [id(1)]);
}

#[test]
fn a_mapping_holds_memory() {
    let mut lending = Lending::new();
    let (identity, file) = memory();
    let fd = lending.lend(id(1), identity, &file).unwrap();
    let mapping = Mapping::new(fd.as_fd(), 4096).unwrap();
    drop(fd);
    assert_eq!(lending.returned(), []);
    drop(mapping);
    assert_eq!(returned(&mut lending), [id(1)]);
}

#[test]
fn the_same_memory_twice_is_told_apart() {
    let mut lending = Lending::new();
    let (identity, file) = memory();
    let first = lending.lend(id(1), identity, &file).unwrap();
    let second = lending.lend(id(2), identity, &file).unwrap();
    drop(second);
    assert_eq!(returned(&mut lending), [id(2)]);
    lending.forget(id(2), identity);
    drop(first);
    assert_eq!(returned(&mut lending), [id(1)]);
}

#[test]
fn another_holder_of_the_file_changes_nothing() {
    let mut lending = Lending::new();
    let (identity, file) = memory();
    let held = lending.lend(id(1), identity, &file).unwrap();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    drop(std::fs::File::open(path).unwrap());
    for _ in 1..MAX_ASKS {
        assert_eq!(lending.returned(), []);
        assert!(lending.is_unsure());
    }
    assert_eq!(lending.returned(), []);
    assert!(!lending.is_unsure());
    // Nothing was forgotten: a real close is still seen.
    drop(held);
    assert_eq!(lending.returned(), [id(1)]);
}

#[test]
fn a_lock_that_goes_long_after_the_close_was_told_is_noticed() {
    let mut lending = Lending::new();
    let (identity, file) = memory();
    let held = lending.lend(id(1), identity, &file).unwrap();
    // Stands for the mark of a process that has been told of, and goes on closing later.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let slow = std::fs::File::open(path).unwrap();
    fcntl(&slow, FcntlArg::F_OFD_SETLK(&mark(id(1), libc::F_RDLCK))).unwrap();
    drop(held);
    assert_eq!(returned(&mut lending), []);
    while lending.is_unsure() {
        assert_eq!(lending.returned(), []);
    }
    fcntl(&slow, FcntlArg::F_OFD_SETLK(&mark(id(1), libc::F_UNLCK))).unwrap();
    assert_eq!(returned(&mut lending), [id(1)]);
    lending.forget(id(1), identity);
    // And then it is quiet.
    assert_eq!(lending.returned(), []);
    let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut fds: Vec<_> = lending.events().map(readable).collect();
    assert_eq!(poll(&mut fds, PollTimeout::ZERO), Ok(0));
}

#[test]
fn access_is_what_the_device_gave() {
    let mut lending = Lending::new();
    let (identity, file) = memory();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let read_only = Arc::new(OwnedFd::from(std::fs::File::open(path).unwrap()));
    let fd = lending.lend(id(1), identity, &read_only).unwrap();
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL).unwrap());
    assert_eq!(flags & OFlag::O_ACCMODE, OFlag::O_RDONLY);
}

#[test]
fn without_watches_asking_is_enough() {
    let mut lending = Lending::with_inotify(None);
    let (identity, file) = memory();
    let fd = lending.lend(id(1), identity, &file).unwrap();
    assert_eq!(lending.returned(), []);
    assert!(!lending.is_unsure());
    drop(fd);
    assert_eq!(lending.returned(), [id(1)]);
}
