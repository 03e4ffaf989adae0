use std::os::unix::net::{UnixListener, UnixStream};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;

/// A listener with a socket for local clients, and where those connect to.
fn listener() -> (
    tempfile::TempDir,
    std::path::PathBuf,
    Arc<Listening>,
    OwnedFd,
) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wayland-0");
    let local = UnixListener::bind(&path).unwrap();
    let (listening, set) = Listening::new(Some(local.into())).unwrap();
    (dir, path, listening, set)
}

fn accept(listening: &Listening, set: &OwnedFd, flags: c_int) -> io::Result<OwnedFd> {
    // SAFETY: null is allowed.
    let accepted = unsafe {
        listening.accept(
            set.as_fd(),
            (std::ptr::null_mut(), std::ptr::null_mut()),
            flags,
        )
    };
    // SAFETY: a new descriptor.
    accepted.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

fn is_readable(set: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(set.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).unwrap() > 0
}

fn nonblocking(set: &OwnedFd) {
    fcntl(set, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
}

/// Stands for a connection; tells which one it is.
fn connection() -> (OwnedFd, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (ours.into(), theirs)
}

#[test]
fn a_set_is_known_by_any_number_and_nothing_else_is() {
    let (_dir, _, listening, set) = listener();
    let (_other_dir, _, other, other_set) = listener();
    let duplicate = set.try_clone().unwrap();
    assert!(Arc::ptr_eq(&find(duplicate.as_fd()).unwrap(), &listening));
    assert!(Arc::ptr_eq(&find(other_set.as_fd()).unwrap(), &other));
    let strangers = [
        Epoll::new(EpollCreateFlags::empty()).unwrap().0,
        connection().0,
        std::fs::File::open("/dev/null").unwrap().into(),
    ];
    for stranger in strangers {
        assert!(find(stranger.as_fd()).is_none());
    }
}

#[test]
fn local_and_remote_clients_take_turns() {
    let (_dir, path, listening, set) = listener();
    nonblocking(&set);
    assert!(!is_readable(&set));
    let _clients = [(); 4].map(|()| UnixStream::connect(&path).unwrap());
    let mut remote = Vec::new();
    for _ in 0..4 {
        let (ours, theirs) = connection();
        listening.offer(ours).unwrap();
        remote.push(theirs);
    }
    let mut was_remote = Vec::new();
    while is_readable(&set) {
        let accepted = accept(&listening, &set, SOCK_CLOEXEC).unwrap();
        drop(accepted);
        let gone = remote.iter().position(|theirs| {
            let mut fds = [PollFd::new(theirs.as_fd(), PollFlags::empty())];
            poll(&mut fds, PollTimeout::ZERO).unwrap() > 0
        });
        was_remote.push(gone.map(|at| remote.remove(at)).is_some());
    }
    assert_eq!(was_remote.len(), 8);
    assert!(
        was_remote.windows(2).all(|two| two[0] != two[1]),
        "{was_remote:?}"
    );
    let refused = accept(&listening, &set, 0).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EAGAIN));
}

#[test]
fn a_server_that_may_wait_does_so_for_either() {
    let (_dir, path, listening, set) = listener();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| accept(&listening, &set, 0).map(drop));
        let _client = UnixStream::connect(&path).unwrap();
        waiting.join().unwrap().unwrap();
        let waiting = scope.spawn(|| accept(&listening, &set, 0).map(drop));
        listening.offer(connection().0).unwrap();
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn a_server_that_was_told_of_a_client_that_has_gone_does_not_wait() {
    let (_dir, _, listening, set) = listener();
    // As if the queue had been emptied by somebody else.
    listening.ready.write(1).unwrap();
    let refused = accept(&listening, &set, 0).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EAGAIN));
}

#[test]
fn close_on_exec_is_as_asked() {
    let (_dir, _, listening, set) = listener();
    for (flags, wanted) in [(SOCK_CLOEXEC, FdFlag::FD_CLOEXEC), (0, FdFlag::empty())] {
        listening
            .offer(duplicate(connection().0.as_fd()).unwrap())
            .unwrap();
        let accepted = accept(&listening, &set, flags).unwrap();
        let got = FdFlag::from_bits_retain(fcntl(&accepted, FcntlArg::F_GETFD).unwrap());
        assert_eq!(got, wanted);
    }
    let refused = accept(&listening, &set, 1).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn an_address_says_its_family_and_is_cut_off() {
    let mut address = [0xaa_u8; 4];
    let mut len: socklen_t = 1;
    // SAFETY: room for more than `len` bytes.
    unsafe { store_unnamed(address.as_mut_ptr().cast(), &raw mut len) }.unwrap();
    assert_eq!((address, len), ([1, 0xaa, 0xaa, 0xaa], 2));
    // SAFETY: room for `len` bytes.
    unsafe { store_unnamed(address.as_mut_ptr().cast(), &raw mut len) }.unwrap();
    assert_eq!((address, len), ([1, 0, 0xaa, 0xaa], 2));
}

#[test]
fn no_more_wait_than_a_server_would_let() {
    let (_dir, _, listening, set) = listener();
    for _ in 0..MAX_WAITING {
        listening.offer(connection().0).unwrap();
    }
    let refused = listening.offer(connection().0).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::ENOBUFS));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| listening.wait_room());
        accept(&listening, &set, 0).unwrap();
        waiting.join().unwrap();
    });
    listening.offer(connection().0).unwrap();
}

#[test]
fn a_forgotten_listener_is_none() {
    let (_dir, _, listening, set) = listener();
    listening.forget();
    assert!(find(set.as_fd()).is_none());
}
