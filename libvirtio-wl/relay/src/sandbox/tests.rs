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
    let display = Display::find(Some(socket.clone().into()), None).unwrap();
    let device = DeviceAddress::VhostUser(dir.join("device"));
    apply(&device, &display, Policy::Auto).unwrap();

    assert!(UnixStream::connect(&socket).is_ok());
    assert!(crate::door::Door::new(&dir).unwrap().connect().is_ok());
    assert!(std::io::pipe().is_ok());
    assert!(std::thread::spawn(|| ()).join().is_ok());
    let mut appear = crate::appear::Appear::new().unwrap();
    appear.watch(&display);
    std::fs::remove_file(display.path()).unwrap();
    let _listener = UnixListener::bind(&socket).unwrap();
    assert!(appear.take(&display).unwrap());

    denied(Command::new("/bin/true").status());
    denied(std::net::UdpSocket::bind("127.0.0.1:0"));
    denied(std::fs::create_dir(dir.join("d")));
}
