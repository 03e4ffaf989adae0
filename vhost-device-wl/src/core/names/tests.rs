use std::os::unix::net::UnixStream;

use super::*;

fn socket() -> OwnedFd {
    UnixStream::pair().unwrap().0.into()
}

#[test]
fn a_listening_entry_can_be_opened_again_and_again() {
    let table = NameTable::new();
    table
        .add_listening("", Path::new("/run/wayland-0"))
        .unwrap();
    for _ in 0..3 {
        assert!(
            matches!(table.open(""), Some(Target::Connect(p)) if p == Path::new("/run/wayland-0"))
        );
    }
    assert_eq!(table.list()[0].opened, 3);
}

#[test]
fn a_connected_entry_is_consumed_by_its_first_opener() {
    let table = NameTable::new();
    let name = table.add_connected("wl-conn-%d", socket()).unwrap();
    assert_eq!(name, "wl-conn-0");
    assert!(matches!(table.open(&name), Some(Target::Connected(_))));
    assert!(table.open(&name).is_none());
    assert_eq!(table.remove(&name), Err(NameError::Unknown(name)));
}

#[test]
fn numbers_are_never_given_twice() {
    let table = NameTable::new();
    table.add_listening("wl-conn-1", Path::new("/x")).unwrap();
    assert_eq!(
        table.add_connected("wl-conn-%d", socket()).unwrap(),
        "wl-conn-0"
    );
    table.remove("wl-conn-0").unwrap();
    assert_eq!(
        table.add_connected("wl-conn-%d", socket()).unwrap(),
        "wl-conn-2"
    );
    assert_eq!(
        table.add_connected("other-%d", socket()).unwrap(),
        "other-0"
    );
}

#[test]
fn names_are_checked() {
    let table = NameTable::new();
    let longest = "x".repeat(MAX_NAME);
    assert!(table.add_connected(&longest, socket()).is_ok());
    assert_eq!(
        table.add_connected(&longest, socket()),
        Err(NameError::InUse(longest.clone()))
    );
    for bad in ["", "a b", "a\0", "ü", &"x".repeat(MAX_NAME + 1)] {
        assert_eq!(
            table.add_connected(bad, socket()),
            Err(NameError::Invalid(bad.into()))
        );
    }
    // The number must fit as well.
    let full = format!("{}%d", "x".repeat(MAX_NAME));
    assert!(table.add_connected(&full, socket()).is_err());
}

#[test]
fn the_number_of_unclaimed_connections_is_bounded() {
    let table = NameTable::new();
    for _ in 0..MAX_CONNECTED {
        table.add_connected("c%d", socket()).unwrap();
    }
    assert_eq!(
        table.add_connected("c%d", socket()),
        Err(NameError::Full(MAX_CONNECTED))
    );
    assert!(table.add_listening("still-fine", Path::new("/x")).is_ok());
}

#[test]
fn a_listening_entry_replaces_only_its_like() {
    let table = NameTable::new();
    table.add_listening("a", Path::new("/old")).unwrap();
    table.add_listening("a", Path::new("/new")).unwrap();
    assert!(matches!(table.open("a"), Some(Target::Connect(p)) if p == Path::new("/new")));
    assert_eq!(
        table.add_connected("a", socket()),
        Err(NameError::InUse("a".into()))
    );
    table.add_connected("b", socket()).unwrap();
    assert_eq!(
        table.add_listening("b", Path::new("/x")),
        Err(NameError::InUse("b".into()))
    );
}
