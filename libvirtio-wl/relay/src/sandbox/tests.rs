use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use integration_tests::again::{denied, in_child};

use super::*;

#[test]
fn what_was_given_up_fails_and_the_rest_works() {
    let Some(dir) = in_child("sandbox::tests::what_was_given_up_fails_and_the_rest_works") else {
        return;
    };
    let socket = dir.join("display");
    let _listener = UnixListener::bind(&socket).unwrap();
    apply(&DeviceAddress::VhostUser(dir.join("device"))).unwrap();

    assert!(UnixStream::connect(&socket).is_ok());
    assert!(std::io::pipe().is_ok());
    assert!(std::thread::spawn(|| ()).join().is_ok());
    let display = crate::display::Display::find(Some(socket.into()), None).unwrap();
    let mut appear = crate::appear::Appear::new().unwrap();
    appear.watch(&display);
    std::fs::remove_file(display.path()).ok();

    denied(Command::new("/bin/true").status());
    denied(std::net::UdpSocket::bind("127.0.0.1:0"));
    denied(std::fs::create_dir(dir.join("d")));
}
