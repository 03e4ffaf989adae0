use std::os::unix::net::UnixListener;
use std::process::Command;

use integration_tests::again::in_child;

use super::*;
use crate::core::account::MemoryAccount;
use crate::core::outqueue::OutQueue;
use crate::core::quota::{Limits, Quota};
use crate::core::stream::Stream;

#[test]
fn what_is_needed_works_and_the_rest_fails() {
    let Some(dir) = in_child("sandbox::tests::what_is_needed_works_and_the_rest_fails") else {
        return;
    };
    let account = MemoryAccount::new(1 << 20).unwrap();
    let elsewhere = dir.join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("secret"), "x").unwrap();
    let run = dir.join("run");
    std::fs::create_dir(&run).unwrap();
    let socket = run.join("socket");
    drop(UnixListener::bind(&socket).unwrap());
    // A guest's application listens where the device has no business but to connect.
    let listener = UnixListener::bind(elsewhere.join("wayland-0")).unwrap();

    enter(&[&socket]).unwrap();

    // What a device does.
    let reservation = account.reserve(4096).unwrap();
    let memory = memfd::MemfdOptions::new()
        .create("test")
        .unwrap()
        .into_file();
    let watched = account.follow(std::os::fd::AsFd::as_fd(&memory), reservation);
    watched.unwrap();
    drop(memory);
    assert_eq!(account.used(), 0, "the ledger still sees memory end");
    let queue = || OutQueue::new(1, Quota::new(Limits::default()));
    assert!(Stream::pipe(true, queue()).is_ok());
    let (reader, _writer) = std::io::pipe().unwrap();
    assert!(Stream::received_pipe(reader.into(), true, false, queue()).is_ok());
    crate::core::stream::connect_now(&elsewhere.join("wayland-0")).unwrap();
    listener.accept().unwrap();
    std::fs::remove_file(&socket).unwrap();

    // What it has no use for.
    assert!(Command::new("/bin/true").status().is_err());
    assert!(std::net::TcpListener::bind("127.0.0.1:0").is_err());
    assert!(std::fs::create_dir(run.join("directory")).is_err());
    assert!(nix::sys::signal::kill(nix::unistd::getppid(), None).is_err());
    if std::fs::read(elsewhere.join("secret")).is_ok() {
        // Without landlock in the kernel only system calls are fenced; `enter` warned.
        return;
    }
    assert!(std::fs::remove_file(elsewhere.join("secret")).is_err());
    assert!(std::fs::write(run.join("file"), "x").is_err());
}
