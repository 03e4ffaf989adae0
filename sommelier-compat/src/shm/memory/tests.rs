use std::io::Write;
use std::os::unix::fs::FileExt;

use super::*;

#[test]
fn a_snapshot_has_the_content_and_can_be_changed_by_nobody() {
    let original = sealable("original").expect("a memfd");
    original.write_all_at(b"a keymap", 0).expect("a memfd");
    let copy = File::from(snapshot(&original, 8).expect("a copy"));
    original.write_all_at(b"changed!", 0).expect("a memfd");
    let mut content = [0; 8];
    copy.read_exact_at(&mut content, 0).expect("a file");
    assert_eq!(&content, b"a keymap");
    assert_eq!(
        copy.metadata().expect("a file").len(),
        8,
        "clients may measure it"
    );
    assert!((&copy).write(b"x").is_err() && copy.set_len(4).is_err());
    assert!(Mapping::readable(&copy, 8).is_ok());
}

#[test]
fn a_snapshot_of_memory_that_is_gone_fails_without_a_signal() {
    let original = sealable("original").expect("a memfd");
    original.set_len(8192).expect("a memfd");
    assert!(snapshot(&original, 8192).is_ok());
    original.set_len(0).expect("a memfd");
    assert!(snapshot(&original, 8192).is_err());
    assert!(snapshot(&original, 0).is_err(), "nothing to map");
}

#[test]
fn memory_for_the_host_cannot_shrink_or_grow() {
    let memory = MemfdAllocator.allocate(5000).expect("memory");
    assert_eq!(memory.len, 5000);
    let file = File::from(memory.as_fd().try_clone_to_owned().expect("a descriptor"));
    assert!(file.set_len(0).is_err() && file.set_len(6000).is_err());
    file.write_all_at(&[1; 5000], 0).expect("writable");
}
