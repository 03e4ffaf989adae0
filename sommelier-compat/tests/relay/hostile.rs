//! Clients that break the rules: the error a compositor would give, to them
//! alone.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use sommelier_compat::conn::End;
use wayland_client::protocol::{
    wl_compositor::WlCompositor, wl_shm, wl_shm::WlShm, wl_surface::WlSurface,
};

use crate::fixture::Fixture;
use crate::painter::{Pool, memfd};

/// A message of whole words.
fn message(object: u32, opcode: u16, args: &[u32]) -> Vec<u8> {
    let len = 8 + 4 * args.len() as u32;
    let words = [object, len << 16 | u32::from(opcode)];
    words
        .iter()
        .chain(args)
        .flat_map(|word| word.to_ne_bytes())
        .collect()
}

/// Sends bytes as a new client; returns the error it was told:
/// `(object, code, text)`.
fn told(fixture: &mut Fixture, bytes: &[u8]) -> Option<(u32, u32, String)> {
    let mut socket = fixture.add_socket();
    socket.write_all(bytes).expect("room in the socket");
    fixture.settle();
    read_error(&mut socket)
}

fn read_error(socket: &mut UnixStream) -> Option<(u32, u32, String)> {
    socket.set_nonblocking(true).expect("a socket");
    let mut bytes = Vec::new();
    // Ends with the connection, or with nothing more to read.
    let _ = socket.read_to_end(&mut bytes);
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four"));
    let mut at = 0;
    while at + 8 <= bytes.len() {
        let len = (word(at + 4) >> 16) as usize;
        if word(at) == 1 && word(at + 4) & 0xffff == 0 {
            let text = &bytes[at + 20..at + 20 + word(at + 16) as usize - 1];
            return Some((
                word(at + 8),
                word(at + 12),
                String::from_utf8_lossy(text).into(),
            ));
        }
        at += len;
    }
    None
}

#[test]
fn malformed_messages_end_the_connection_with_an_error() {
    let text = |text: &str| -> Vec<u32> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        let len = bytes.len() as u32;
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let words = bytes
            .chunks(4)
            .map(|c| u32::from_ne_bytes(c.try_into().expect("four")));
        [len].into_iter().chain(words).collect()
    };
    let bind = |tail: &[u32]| {
        let args = [&[1][..], &text("wl_compositor"), tail].concat();
        [message(1, 1, &[2]), message(2, 0, &args)].concat()
    };
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("object 0", message(0, 0, &[]), "invalid object 0"),
        ("unknown object", message(77, 0, &[]), "invalid object 77"),
        (
            "server-side object",
            message(0xff00_0000, 0, &[]),
            "invalid object",
        ),
        ("unknown opcode", message(1, 9, &[]), "invalid method 9"),
        (
            "size below the header",
            [1_u32, 4 << 16].map(u32::to_ne_bytes).concat(),
            "message of 4",
        ),
        (
            "odd size",
            [1_u32, 13 << 16].map(u32::to_ne_bytes).concat(),
            "message of 13",
        ),
        ("no arguments", message(1, 0, &[]), "shorter"),
        ("too many arguments", message(1, 0, &[2, 3]), "longer"),
        ("new id 0", message(1, 0, &[0]), "invalid new id 0"),
        ("new id in use", message(1, 0, &[1]), "invalid new id 1"),
        ("new id with a gap", message(1, 0, &[9]), "invalid new id 9"),
        (
            "new id of the server",
            message(1, 0, &[0xff00_0001]),
            "invalid new id",
        ),
        (
            "string beyond the end",
            bind(&[]).split_at(40).0.to_vec(),
            "",
        ),
        ("bind unknown", bind(&[1, 3]), "invalid"),
        ("bind to a used id", bind(&[1, 2]), "invalid"),
        (
            "null interface",
            [message(1, 1, &[2]), message(2, 0, &[1, 0, 1, 3])].concat(),
            "null",
        ),
        (
            "huge string",
            [message(1, 1, &[2]), message(2, 0, &[1, u32::MAX, 1, 3])].concat(),
            "shorter",
        ),
        (
            "unterminated string",
            [
                message(1, 1, &[2]),
                message(2, 0, &[1, 4, 0x6161_6161, 1, 3]),
            ]
            .concat(),
            "not terminated",
        ),
    ];
    let mut fixture = Fixture::new();
    for (name, bytes, complaint) in cases {
        let error = told(&mut fixture, &bytes);
        if complaint.is_empty() {
            assert_eq!(error, None, "{name}: incomplete, so nothing is wrong yet");
            continue;
        }
        let (_, _, text) = error.unwrap_or_else(|| panic!("{name}: no error"));
        assert!(text.contains(complaint), "{name}: {text}");
        assert!(
            matches!(fixture.links.last().expect("it").end, Some(End::Failed)),
            "{name}"
        );
    }
    // Nobody else noticed.
    let peer = fixture.peer();
    peer.connection.display().sync(&peer.handle(), ());
    fixture.settle();
    assert_eq!(fixture.peer().state.synced, 1);
}

fn shm_error(act: impl FnOnce(&WlShm, &WlSurface, &mut Fixture)) -> (String, u32, String) {
    let mut fixture = Fixture::new();
    let neighbour = fixture.add_client();
    let compositor: WlCompositor = fixture.peer().bind();
    let shm: WlShm = fixture.peer().bind();
    let surface = compositor.create_surface(&fixture.peer().handle(), ());
    act(&shm, &surface, &mut fixture);
    fixture.settle();
    assert!(fixture.links[0].end.is_some());
    assert!(fixture.links[neighbour].end.is_none());
    fixture.peer().error().expect("an error")
}

#[test]
fn absurd_geometry_is_refused_as_by_a_compositor() {
    let cases = [
        (-1, 16, 8, 64),
        (0, 0, 8, 64),
        (0, 16, 0, 64),
        (0, -16, 8, 64),
        (0, 16, -8, 64),
        (0, 16, 8, 63),
        (0, 16, 8, -64),
        (0, 16, 8, 0),
        (1, 16, 8, 64),
        (0, 16, 9, 64),
        (i32::MAX, 16, 8, 64),
        (0, i32::MAX, 1, i32::MAX),
        (0, 1, i32::MAX, i32::MAX),
        (0, 1 << 30, 1, 4),
    ];
    for (offset, width, height, stride) in cases {
        let (interface, code, _) = shm_error(|shm, _, fixture| {
            let handle = fixture.peer().handle();
            let pool = Pool::new(shm, 512, &handle);
            let format = wl_shm::Format::Argb8888;
            pool.pool
                .create_buffer(offset, width, height, stride, format, &handle, ());
        });
        let case = format!("{offset} {width}x{height} {stride}");
        assert_eq!((interface.as_str(), code), ("wl_shm_pool", 1), "{case}");
    }
}

#[test]
fn a_format_that_was_not_announced_is_refused() {
    let (_, code, text) = shm_error(|shm, _, fixture| {
        let handle = fixture.peer().handle();
        let pool = Pool::new(shm, 512, &handle);
        pool.pool
            .create_buffer(0, 16, 8, 64, wl_shm::Format::Nv12, &handle, ());
    });
    assert_eq!(code, 0, "wl_shm.invalid_format: {text}");
}

#[test]
fn a_truncated_file_costs_only_its_owner() {
    let (interface, code, text) = shm_error(|shm, surface, fixture| {
        let handle = fixture.peer().handle();
        let pool = Pool::new(shm, 1 << 20, &handle);
        let buffer = pool.buffer(0, (512, 512), &handle);
        surface.attach(Some(&buffer), 0, 0);
        surface.commit();
        fixture.settle();
        assert_eq!(fixture.server.commits.len(), 1);
        pool.file.set_len(8192).expect("a memfd");
        surface.attach(Some(&buffer), 0, 0);
        surface.damage(0, 0, 512, 512);
        surface.commit();
    });
    assert_eq!((interface.as_str(), code), ("wl_buffer", 2), "{text}");
}

#[test]
fn pools_of_anything_but_readable_files_are_refused() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let directory = std::fs::File::open("/").expect("a directory");
    let null = std::fs::File::open("/dev/null").expect("a device");
    for fd in [
        reader.as_fd(),
        writer.as_fd(),
        directory.as_fd(),
        null.as_fd(),
    ] {
        let (interface, code, _) = shm_error(|shm, _, fixture| {
            shm.create_pool(fd, 512, &fixture.peer().handle(), ());
        });
        assert_eq!((interface.as_str(), code), ("wl_shm", 2));
    }
}

#[test]
fn pools_cannot_be_empty_or_shrink() {
    for size in [0, -1, i32::MIN] {
        let (_, code, _) = shm_error(|shm, _, fixture| {
            shm.create_pool(memfd(16).as_fd(), size, &fixture.peer().handle(), ());
        });
        assert_eq!(code, 1);
    }
    let (_, code, text) = shm_error(|shm, _, fixture| {
        let pool = Pool::new(shm, 512, &fixture.peer().handle());
        pool.pool.resize(511);
    });
    assert_eq!(code, 2, "{text}");
}

#[test]
fn descriptors_without_requests_run_out() {
    use std::io::IoSlice;
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

    let mut fixture = Fixture::new();
    let mut socket = fixture.add_socket();
    let file = memfd(1);
    let fds = [file.as_raw_fd(); 28];
    // `sync` again and again, each with 28 descriptors that nobody asked for.
    for id in 2..40 {
        let bytes = message(1, 0, &[id]);
        let rights = [ControlMessage::ScmRights(&fds)];
        let flags = MsgFlags::MSG_NOSIGNAL;
        let iov = [IoSlice::new(&bytes)];
        if sendmsg::<()>(socket.as_raw_fd(), &iov, &rights, flags, None).is_err() {
            break;
        }
        fixture.turn();
    }
    fixture.settle();
    let link = fixture.links.last().expect("it");
    assert!(matches!(link.end, Some(End::Failed)), "{:?}", link.end);
    assert!(read_error(&mut socket).is_some());
}

#[test]
fn a_client_that_does_not_read_is_cut_at_a_bound() {
    let mut fixture = Fixture::new();
    let mut socket = fixture.add_socket();
    socket.set_nonblocking(true).expect("a socket");
    // Ids come back by delete_id, which this client does not read, so it takes
    // new ones.
    let mut id = 1;
    let link = fixture.links.len() - 1;
    while fixture.links[link].end.is_none() {
        let mut burst = Vec::new();
        for _ in 0..64 {
            id += 1;
            burst.extend(message(1, 0, &[id]));
        }
        if socket.write_all(&burst).is_err() {
            break;
        }
        fixture.turn();
        assert!(id < 1 << 16, "unread events are bounded");
    }
    assert!(matches!(
        fixture.links[link].end,
        Some(End::Unread | End::Failed)
    ));
    let peer = fixture.peer();
    peer.connection.display().sync(&peer.handle(), ());
    fixture.settle();
    assert_eq!(fixture.peer().state.synced, 1);
}

#[test]
fn objects_are_bounded() {
    let mut fixture = Fixture::new();
    let compositor: WlCompositor = fixture.peer().bind();
    while fixture.peer().error().is_none() {
        for _ in 0..512 {
            compositor.create_region(&fixture.peer().handle(), ());
        }
        fixture.turn();
        assert!(fixture.server.commits.is_empty());
    }
    let (_, code, text) = fixture.peer().error().expect("an error");
    assert_eq!(code, 2, "wl_display.no_memory: {text}");
}

#[test]
fn messages_cut_anywhere_are_put_together() {
    let mut fixture = Fixture::new();
    let mut socket = fixture.add_socket();
    for byte in [message(1, 0, &[2]), message(1, 0, &[3])].concat() {
        socket.write_all(&[byte]).expect("room");
        fixture.turn();
    }
    fixture.settle();
    let mut answer = [0; 48];
    socket.set_nonblocking(true).expect("a socket");
    socket
        .read_exact(&mut answer)
        .expect("done and delete_id, twice");
}

#[test]
fn a_host_that_does_not_read_holds_its_client_back_within_a_bound() {
    use sommelier_compat::conn::{Connection, Host};

    use crate::fixture::TestHost;

    let host = TestHost::default();
    let (ours, mut theirs) = UnixStream::pair().expect("sockets");
    theirs.set_nonblocking(true).expect("a socket");
    let mut relay = Connection::new(ours, &host as &dyn Host).expect("a relay");
    let mut id = 1;
    let mut sent = 0_usize;
    let mut unsent = Vec::new();
    loop {
        if unsent.is_empty() {
            unsent = (0..64).flat_map(|n| message(1, 0, &[id + 1 + n])).collect();
            id += 64;
        }
        let written = theirs.write(&unsent).unwrap_or(0);
        unsent.drain(..written);
        sent += written;
        assert!(sent < 4 << 20, "more than all queues hold");
        let wants = relay.turn().expect("still connected");
        if wants.client_read {
            relay.client_readable().expect("still connected");
            continue;
        }
        assert!(
            wants.host_write && !wants.turn,
            "it waits for the host, without spinning"
        );
        if written == 0 {
            break;
        }
    }
}
