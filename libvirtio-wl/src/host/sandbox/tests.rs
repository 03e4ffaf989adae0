//! Each test runs itself again in a child process, which applies a sandbox and tries
//! things: a sandbox cannot be taken off again.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::Command;

use integration_tests::again;

use super::*;

fn in_child(test: &str) -> Option<PathBuf> {
    again::in_child(&format!("host::sandbox::tests::{test}"))
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn system_calls_that_were_given_up_fail() {
    let Some(dir) = in_child("system_calls_that_were_given_up_fail") else {
        return;
    };
    // The harness itself makes threads.
    Sandbox::new()
        .path(&dir, FsAccess::Sockets)
        .syscalls(SOCKETS)
        .syscalls(FILES)
        .syscalls(THREADS)
        .apply()
        .unwrap();
    let eperm = Some(libc::EPERM);
    assert_eq!(errno(TcpListener::bind("127.0.0.1:0")), eperm);
    assert!(Command::new("/bin/true").status().is_err());
    assert_eq!(errno(std::fs::create_dir(dir.join("d"))), eperm);
    let kill = nix::sys::signal::kill(nix::unistd::Pid::this(), None);
    assert_eq!(kill, Err(nix::errno::Errno::EPERM));
    assert!(UnixListener::bind(dir.join("s")).is_ok());
}

#[test]
fn files_that_were_given_up_cannot_be_opened() {
    let test = "files_that_were_given_up_cannot_be_opened";
    let Some(dir) = in_child(test) else {
        return;
    };
    let (mine, run) = (dir.join("mine"), dir.join("run"));
    std::fs::write(&mine, "x").unwrap();
    std::fs::write(dir.join("other"), "x").unwrap();
    std::fs::create_dir(&run).unwrap();
    let fence = Sandbox::new()
        .path(&mine, FsAccess::Read)
        .path(&run, FsAccess::Sockets)
        .syscalls(SOCKETS)
        .syscalls(FILES)
        .syscalls(THREADS)
        .apply()
        .unwrap();
    assert!(File::open(&mine).is_ok());
    let socket = run.join("s");
    drop(UnixListener::bind(&socket).unwrap());
    std::fs::remove_file(&socket).unwrap();
    if fence == FileFence::Missing {
        // What landlock adds cannot be tried; `apply` has warned of it.
        return;
    }
    let eacces = Some(libc::EACCES);
    assert_eq!(errno(File::open(dir.join("other"))), eacces);
    assert_eq!(errno(File::options().write(true).open(&mine)), eacces);
    assert_eq!(errno(File::create(run.join("f"))), eacces);
    assert_eq!(errno(UnixListener::bind(dir.join("s"))), eacces);
}

#[test]
fn memory_never_becomes_executable() {
    let Some(_) = in_child("memory_never_becomes_executable") else {
        return;
    };
    Sandbox::new().syscalls(THREADS).apply().unwrap();
    let length = std::num::NonZeroUsize::new(4096).unwrap();
    let map = |prot| {
        let private = nix::sys::mman::MapFlags::MAP_PRIVATE;
        // SAFETY: a fresh mapping that nothing refers to.
        #[allow(unsafe_code)]
        unsafe {
            nix::sys::mman::mmap_anonymous(None, length, prot, private)
        }
    };
    let read = nix::sys::mman::ProtFlags::PROT_READ;
    assert!(map(read).is_ok());
    let executable = read | nix::sys::mman::ProtFlags::PROT_EXEC;
    assert_eq!(map(executable), Err(nix::errno::Errno::EPERM));
}

#[test]
fn a_missing_path_is_named() {
    let Some(dir) = in_child("a_missing_path_is_named") else {
        return;
    };
    let error = Sandbox::new()
        .path(dir.join("nowhere"), FsAccess::Read)
        .apply()
        .unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}
