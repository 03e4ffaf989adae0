//! Names of sockets, and who listens at them.

use std::ffi::OsStr;
use std::os::unix::net::UnixListener;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};
use nix::unistd::getpid;
use std::os::fd::AsRawFd;

use super::{display_name, server};

#[test]
fn names() {
    let name = |name| display_name(OsStr::new(name));
    assert_eq!(name("wayland-0"), Some("wayland-0"));
    assert_eq!(name("wayland-17"), Some("wayland-17"));
    for other in [
        "wayland-0.lock",
        "wayland-",
        "wayland",
        "sway-ipc.900.1.sock",
    ] {
        assert_eq!(name(other), None, "{other}");
    }
}

#[test]
fn a_socket_tells_who_listens() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("wayland-0");
    assert_eq!(server(&path), Err(Errno::ENOENT));

    // Named, but nobody listens yet.
    let flags = SockFlag::SOCK_CLOEXEC;
    let named = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    bind(named.as_raw_fd(), &UnixAddr::new(&path)?)?;
    assert_eq!(server(&path), Err(Errno::ECONNREFUSED));

    std::fs::remove_file(&path)?;
    let _listener = UnixListener::bind(&path)?;
    assert_eq!(server(&path), Ok(getpid()));
    Ok(())
}
