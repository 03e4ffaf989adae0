use std::os::{
    fd::AsFd,
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixDatagram, UnixListener},
};

use super::*;

#[test]
fn only_stream_sockets_with_a_path_have_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wayland-0");
    let socket = UnixListener::bind(&path).unwrap();
    assert_eq!(listening_path(socket.as_fd()), Some(path));
    let abstract_name = SocketAddr::from_abstract_name(b"virtio-wl-preload-test").unwrap();
    let socket = UnixListener::bind_addr(&abstract_name).unwrap();
    assert_eq!(listening_path(socket.as_fd()), None);
    let socket = UnixDatagram::bind(dir.path().join("d")).unwrap();
    assert_eq!(listening_path(socket.as_fd()), None);
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(listening_path(socket.as_fd()), None);
}

#[test]
fn the_longest_path_is_read() {
    let dir = tempfile::tempdir().unwrap();
    // 108 bytes without the NUL that is then left out.
    let len = 108 - dir.path().as_os_str().len() - 1;
    let path = dir.path().join("w".repeat(len));
    let address = nix::sys::socket::UnixAddr::new(&path);
    // nix wants room for the NUL; one byte less is the longest then.
    let path = if address.is_ok() {
        path
    } else {
        dir.path().join("w".repeat(len - 1))
    };
    let socket = UnixListener::bind(&path).unwrap();
    assert_eq!(listening_path(socket.as_fd()), Some(path));
}
