//! A directory like the kernel's.

use std::fs;
use std::path::Path;

use super::find;

#[test]
fn by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    for (node, name) in [
        ("vport0p1", "other\n"),
        ("vport0p2", "org.virtio-wl.control\n"),
    ] {
        fs::create_dir(directory.path().join(node)).expect("made");
        fs::write(directory.path().join(node).join("name"), name).expect("written");
    }
    // A port whose name the host has not told yet.
    fs::create_dir(directory.path().join("vport0p3")).expect("made");
    let found = find(directory.path(), "org.virtio-wl.control");
    assert_eq!(found.as_deref(), Some(Path::new("vport0p2")));
    assert_eq!(find(directory.path(), "org.virtio-wl"), None);
    assert_eq!(find(Path::new("/does/not/exist"), "other"), None);
}
