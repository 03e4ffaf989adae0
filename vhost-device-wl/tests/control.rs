//! The control socket and the process around it, with the real daemon.

mod common;

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use common::{Daemon, OwnedEvent, PATIENCE, accept};
use nix::sys::signal::{Signal, kill};
use virtio_wl::host::control::{
    Add, Client, ControlError, ErrorKind, List, Queues, Remove, SocketKind, receive_packet,
    send_packet,
};
use virtio_wl::wire::{ContextName, Request, Response, VfdId};

fn client(daemon: &Daemon) -> Client {
    Client::connect(&daemon.path("control")).unwrap()
}

fn add(client: &mut Client, name: &str, socket: &UnixStream) -> Result<String, ControlError> {
    let add = Add {
        name: name.into(),
        path: None,
    };
    Ok(client.call(add, Some(socket.as_fd()), PATIENCE)?.name)
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ControlError>) -> ErrorKind {
    match result.unwrap_err() {
        ControlError::Refused(reply) => reply.kind,
        other => panic!("{other}"),
    }
}

fn open(frontend: &mut common::Frontend, id: u32, name: &str) -> Response {
    frontend.request(&Request::NewContext {
        id: VfdId::new(id).unwrap(),
        name: ContextName::new(name).unwrap(),
    })
}

#[test]
fn a_connection_added_before_the_guest_boots_reaches_it() {
    let daemon = Daemon::start(&["--control", "DIR/control"]);
    let mode = std::fs::metadata(daemon.path("control"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut control = client(&daemon);
    let (mut near, far) = UnixStream::pair().unwrap();
    // No frontend is there yet.
    let name = add(&mut control, "wl-conn-%d", &far).unwrap();
    assert_eq!(name, "wl-conn-0");
    drop(far);
    near.write_all(b"early").unwrap();
    let listing = control.call(List::default(), None, PATIENCE).unwrap();
    assert!(matches!(listing.sockets[0].kind, SocketKind::Connected));

    let mut guest = daemon.frontend();
    assert!(matches!(open(&mut guest, 1, &name), Response::VfdNew(_)));
    assert_eq!(
        guest.receive(),
        OwnedEvent::Recv(1, vec![], b"early".to_vec())
    );
    assert_eq!(open(&mut guest, 2, &name), Response::Err, "it is consumed");
    assert_eq!(
        refusal(control.call(Remove { name }, None, PATIENCE)),
        ErrorKind::NotFound
    );

    let (_near, far) = UnixStream::pair().unwrap();
    assert_eq!(add(&mut control, "wl-conn-%d", &far).unwrap(), "wl-conn-1");
}

#[test]
fn a_monitor_of_another_user_may_be_let_in() {
    let group = format!(":{}", nix::unistd::getegid());
    let daemon = Daemon::start(&["--socket-mode", "0660", "--socket-owner", &group]);
    let file = std::fs::metadata(daemon.path("device")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o660);
    assert_eq!(file.gid(), nix::unistd::getegid().as_raw());
    let private = Daemon::start(&[]);
    let file = std::fs::metadata(private.path("device")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_listing_tells_what_a_vfd_has_done() {
    let daemon = Daemon::start(&["--control", "DIR/control", "--wayland-sock", "DIR/wl"]);
    let listener = daemon.listen("wl");
    let mut guest = daemon.frontend();
    open(&mut guest, 7, "");
    let mut peer = accept(&listener);
    let data = b"four";
    let send = Request::Send {
        id: VfdId::new(7).unwrap(),
        vfds: vec![],
        data,
    };
    assert_eq!(guest.request(&send), Response::Ok);
    peer.write_all(b"answer").unwrap();
    assert_eq!(
        guest.receive(),
        OwnedEvent::Recv(7, vec![], b"answer".to_vec())
    );
    let new = Request::NewMemory {
        id: VfdId::new(8).unwrap(),
        flags: virtio_wl::wire::VfdFlags::empty(),
        size: 4096,
    };
    assert!(matches!(guest.request(&new), Response::VfdNew(_)));

    let mut control = client(&daemon);
    let listing = control.call(List::default(), None, PATIENCE).unwrap();
    let [socket, memory] = listing.vfds.as_slice() else {
        panic!("{listing:?}")
    };
    assert_eq!(
        (socket.id, socket.kind.as_str(), socket.name.as_deref()),
        (7, "socket", Some(""))
    );
    assert_eq!((socket.to_host.messages, socket.to_host.bytes), (1, 4));
    assert_eq!((socket.to_guest.messages, socket.to_guest.bytes), (1, 6));
    assert_eq!(
        (memory.id, memory.kind.as_str(), memory.size),
        (8, "memory", Some(4096))
    );
    let totals = listing.totals;
    assert_eq!(
        (totals.vfds, totals.memory_bytes, totals.mappings),
        (2, 4096, 1)
    );

    let queues = control.call(Queues {}, None, PATIENCE).unwrap().queues;
    let [input, output] = queues.as_slice() else {
        panic!("{queues:?}")
    };
    assert_eq!(
        (input.name.as_str(), input.size, input.ready),
        ("in", 256, true)
    );
    // One buffer was used and given back.
    assert_eq!((input.avail_idx, input.used_idx), (257, 1));
    assert_eq!((input.next_avail, input.next_used), (1, 1));
    assert_eq!((output.avail_idx, output.used_idx), (3, 3));
    assert_eq!((output.next_avail, output.next_used), (3, 3));
    assert!(!output.pending_kick);
    // Three requests, one notification each way (and the start of the ring).
    assert!(output.kicks <= 4, "{output:?}");
    // A guest that looks by itself before it waits needs no notification.
    assert!(output.interrupts <= 3 && input.interrupts <= 1);
}

#[test]
fn refusals_say_why_and_the_connection_goes_on() {
    let daemon = Daemon::start(&["--control", "DIR/control"]);
    let mut control = client(&daemon);
    let (a, _b) = UnixStream::pair().unwrap();
    assert_eq!(
        refusal(add(&mut control, "no spaces", &a)),
        ErrorKind::InvalidName
    );
    add(&mut control, "taken", &a).unwrap();
    assert_eq!(
        refusal(add(&mut control, "taken", &a)),
        ErrorKind::NameInUse
    );
    let call = |control: &mut Client, name: &str, path: Option<&str>, fd| {
        let add = Add {
            name: name.into(),
            path: path.map(Into::into),
        };
        control.call(add, fd, PATIENCE)
    };
    assert_eq!(
        refusal(call(&mut control, "x", None, None)),
        ErrorKind::MissingDescriptor
    );
    let both = call(&mut control, "x", Some("/p"), Some(a.as_fd()));
    assert_eq!(refusal(both), ErrorKind::UnexpectedDescriptor);
    assert_eq!(
        refusal(call(&mut control, "x", Some("p"), None)),
        ErrorKind::InvalidPath
    );
    let long = format!("/{}", "p".repeat(200));
    assert_eq!(
        refusal(call(&mut control, "x", Some(&long), None)),
        ErrorKind::InvalidPath
    );
    let file = tempfile::tempfile().unwrap();
    let wrong = call(&mut control, "x", None, Some(file.as_fd()));
    assert_eq!(refusal(wrong), ErrorKind::NotAStreamSocket);

    // Bytes that are no request at all.
    for bytes in [&b"{"[..], b"[]", b"{\"add\":{}}", b"\xff", &[b' '; 5000]] {
        send_packet(&control, bytes, None).unwrap();
        let mut fds = [nix::poll::PollFd::new(
            control.as_fd(),
            nix::poll::PollFlags::POLLIN,
        )];
        nix::poll::poll(
            &mut fds,
            nix::poll::PollTimeout::try_from(PATIENCE).unwrap(),
        )
        .unwrap();
        let mut buf = [0; 4096];
        let packet = receive_packet(&control, &mut buf).unwrap();
        let text = std::str::from_utf8(&buf[..packet.len]).unwrap();
        assert!(text.contains("invalid-request"), "{text}");
    }
    assert!(control.call(List::default(), None, PATIENCE).is_ok());
}

#[test]
fn a_crowd_of_clients_does_not_keep_the_next_one_out() {
    let daemon = Daemon::start(&["--control", "DIR/control"]);
    let crowd: Vec<Client> = (0..16).map(|_| client(&daemon)).collect();
    let mut late = client(&daemon);
    let result = late.call(List::default(), None, Duration::from_millis(300));
    // It waits in the backlog until one of the crowd leaves.
    assert!(matches!(result, Err(ControlError::Timeout)), "{result:?}");
    drop(crowd);
    let mut fds = [nix::poll::PollFd::new(
        late.as_fd(),
        nix::poll::PollFlags::POLLIN,
    )];
    nix::poll::poll(
        &mut fds,
        nix::poll::PollTimeout::try_from(PATIENCE).unwrap(),
    )
    .unwrap();
    assert!(late.receive().unwrap().is_some());
}

#[test]
fn ctl_prints_json() {
    let daemon = Daemon::start(&["--control", "DIR/control"]);
    let ctl = |args: &[&str], stdin: std::process::Stdio| {
        let output = Command::new(env!("CARGO_BIN_EXE_vhost-device-wl"))
            .args(["ctl", "--control"])
            .arg(daemon.path("control"))
            .args(args)
            .stdin(stdin)
            .output()
            .unwrap();
        (output.status.success(), output)
    };
    let null = std::process::Stdio::null;
    let (ok, output) = ctl(&["add", "x", "/run/x"], null());
    assert!(ok, "{output:?}");
    let (_near, far) = UnixStream::pair().unwrap();
    let far = std::os::fd::OwnedFd::from(far);
    let (ok, output) = ctl(&["add", "c-%d"], far.into());
    assert!(ok, "{output:?}");
    let (ok, output) = ctl(&["list", "--sockets-only"], null());
    assert!(ok);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<_> = json["sockets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["name"])
        .collect();
    assert_eq!(names, ["c-0", "x"]);
    let (ok, output) = ctl(&["queues"], null());
    assert!(ok && serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok());
    assert!(ctl(&["remove", "x"], null()).0);
    let (ok, output) = ctl(&["remove", "x"], null());
    assert!(!ok);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("x"),
        "{output:?}"
    );
}

#[test]
fn a_signal_ends_it_cleanly_also_under_a_frontend() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut daemon = Daemon::start(&["--control", "DIR/control", "--wayland-sock", "DIR/wl"]);
        let listener = daemon.listen("wl");
        let mut guest = daemon.frontend();
        open(&mut guest, 1, "");
        let mut peer = accept(&listener);
        assert!(daemon.is_alive());
        kill(daemon.pid(), signal).unwrap();
        let (socket, control) = (daemon.path("device"), daemon.path("control"));
        let dir = daemon.wait_exit();
        assert!(dir.0.success(), "{:?}", dir.0);
        assert!(!socket.exists() && !control.exists());
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
        assert!(guest.is_disconnected());
    }
}

#[test]
fn stale_sockets_are_replaced_and_live_ones_respected() {
    let daemon = Daemon::start(&["--control", "DIR/control"]);
    let second = Command::new(env!("CARGO_BIN_EXE_vhost-device-wl"))
        .arg("--socket")
        .arg(daemon.path("device"))
        .output()
        .unwrap();
    assert!(!second.status.success());
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(text.contains("in use"), "{text}");
    let second = Command::new(env!("CARGO_BIN_EXE_vhost-device-wl"))
        .arg("--socket")
        .arg(daemon.path("device2"))
        .arg("--control")
        .arg(daemon.path("control"))
        .output()
        .unwrap();
    assert!(!second.status.success());

    // A daemon that was killed leaves its files behind.
    kill(daemon.pid(), Signal::SIGKILL).unwrap();
    let (_, dir) = daemon.wait_exit();
    let daemon = Daemon::start_in(dir, &["--control", "DIR/control"]);
    assert!(
        client(&daemon)
            .call(List::default(), None, PATIENCE)
            .is_ok()
    );
}
