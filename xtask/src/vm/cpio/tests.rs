use super::archive;
use crate::vm::tree::{Owner, Tree};

/// An archive as `cpio --create --format=newc --owner=…` writes it, with inodes and times replaced.
#[test]
fn golden_bytes() {
    let mut tree = Tree::new();
    tree.file("sbin/init", 0o755, *b"hello");
    tree.link("bin", "sbin");
    let user = Owner {
        uid: 1000,
        gid: 0x11,
    };
    tree.directory("home", 0o700, user);
    let expected = concat!(
        "070701",
        "00000001",
        "0000A1FF",
        "00000000",
        "00000000",
        "00000001",
        "00000000",
        "00000004",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "00000004",
        "00000000",
        "bin\0\0\0sbin",
        "070701",
        "00000002",
        "000041C0",
        "000003E8",
        "00000011",
        "00000002",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "00000005",
        "00000000",
        "home\0\0",
        "070701",
        "00000003",
        "000041ED",
        "00000000",
        "00000000",
        "00000002",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "00000005",
        "00000000",
        "sbin\0\0",
        "070701",
        "00000004",
        "000081ED",
        "00000000",
        "00000000",
        "00000001",
        "00000000",
        "00000005",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "0000000A",
        "00000000",
        "sbin/init\0hello\0\0\0",
        "070701",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "00000001",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "0000000B",
        "00000000",
        "TRAILER!!!\0\0\0\0",
    );
    assert_eq!(String::from_utf8(archive(&tree)).unwrap(), expected);
}

#[test]
fn every_entry_is_aligned() {
    for length in 0..9 {
        let mut tree = Tree::new();
        tree.file(&"x".repeat(length + 1), 0o644, vec![b'y'; length]);
        assert_eq!(archive(&tree).len() % 4, 0);
    }
}

#[test]
fn order_of_adding_does_not_matter() {
    let (mut one, mut other) = (Tree::new(), Tree::new());
    one.file("a/b", 0o644, *b"1");
    one.file("a/c", 0o644, *b"2");
    other.file("a/c", 0o644, *b"2");
    other.file("a/b", 0o644, *b"1");
    assert_eq!(archive(&one), archive(&other));
}
