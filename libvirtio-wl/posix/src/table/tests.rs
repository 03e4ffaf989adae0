//! Entries, and how long they live.

use std::{io::pipe, os::fd::AsRawFd};

use nix::unistd::dup;

use super::*;

fn connection() -> Arc<Connection> {
    let kind = VfdKind::Socket;
    Arc::new(Connection::new(kind, Role::Plain, false))
}

#[test]
fn duplicates_are_the_same_and_others_are_not() {
    let mut table = Table::default();
    let (reader, _writer) = pipe().expect("a pipe");
    let (other, _other_writer) = pipe().expect("a pipe");
    let known = connection();
    table
        .insert(reader.as_fd(), Arc::clone(&known))
        .expect("inserted");
    let duplicate = dup(&reader).expect("a duplicate");
    let found = table.get(duplicate.as_fd()).expect("open").expect("known");
    assert!(Arc::ptr_eq(&found, &known));
    assert!(table.get(other.as_fd()).expect("open").is_none());
}

#[test]
fn closed_ones_are_forgotten_when_there_are_many() {
    let mut table = Table::default();
    let (kept, _writer) = pipe().expect("a pipe");
    table.insert(kept.as_fd(), connection()).expect("inserted");
    for _ in 0..4 * FIRST_SWEEP {
        let (reader, _writer) = pipe().expect("a pipe");
        table
            .insert(reader.as_fd(), connection())
            .expect("inserted");
    }
    assert!(table.entries.len() <= FIRST_SWEEP);
    assert!(table.get(kept.as_fd()).expect("open").is_some());
}

#[test]
fn files_without_an_inode_of_their_own_are_told_apart_by_number() {
    let mut table = Table::default();
    let new = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC).expect("an eventfd");
    let (first, second) = (new(), new());
    table.insert(first.as_fd(), connection()).expect("inserted");
    assert!(table.get(first.as_fd()).expect("open").is_some());
    assert!(table.get(second.as_fd()).expect("open").is_none());
    let file = table.file(first.as_fd()).expect("open");
    assert_eq!(file.number, Some(first.as_fd().as_raw_fd()));
}
