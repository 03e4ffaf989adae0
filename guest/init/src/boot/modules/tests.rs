//! The order.

use std::fs;

use super::in_order;

#[test]
fn by_number() {
    let directory = tempfile::tempdir().expect("a directory");
    for name in [
        "10-b.ko",
        "9-c.ko",
        "00-a.ko",
        "10-a.ko",
        "last.ko",
        "README",
        "05-x.ko.xz",
    ] {
        fs::write(directory.path().join(name), "").expect("written");
    }
    let modules = in_order(directory.path()).expect("a list");
    let names: Vec<_> = modules
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .collect();
    assert_eq!(
        names,
        ["00-a.ko", "9-c.ko", "10-a.ko", "10-b.ko", "last.ko"]
    );
}

#[test]
fn nowhere() {
    assert!(in_order(std::path::Path::new("/does/not/exist")).is_err());
}
