use std::io::{Read, Write};

use super::*;

#[test]
fn doors_have_no_name_and_lead_to_their_own_listener() {
    let dir = tempfile::tempdir().unwrap();
    let doors = [(); 3].map(|()| Door::new(dir.path()).unwrap());
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    for (door, word) in doors.iter().zip([b"one", b"two", b"six"]) {
        let mut client = door.connect().unwrap();
        let (mut server, _) = door.listener.accept().unwrap();
        client.write_all(word).unwrap();
        let mut heard = [0; 3];
        server.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, word);
    }
}

#[test]
fn a_path_longer_than_a_sockets_will_do() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("x".repeat(200));
    std::fs::create_dir(&deep).unwrap();
    assert!(Door::new(&deep).unwrap().connect().is_ok());
}

#[test]
fn what_another_left_behind_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let name = format!(".virtio-wl-relay-{}", std::process::id());
    std::fs::write(dir.path().join(name), "").unwrap();
    assert!(Door::new(dir.path()).unwrap().connect().is_ok());
}
