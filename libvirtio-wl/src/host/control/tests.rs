use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use super::*;

fn json(request: impl Into<Request>) -> String {
    String::from_utf8(request.into().encode().unwrap()).unwrap()
}

#[test]
fn requests_are_written_as_documented() {
    let add = |path: Option<&str>| Add {
        name: "wl-conn-%d".into(),
        path: path.map(Into::into),
    };
    assert_eq!(json(add(None)), r#"{"add":{"name":"wl-conn-%d"}}"#);
    assert_eq!(
        json(add(Some("/run/a"))),
        r#"{"add":{"name":"wl-conn-%d","path":"/run/a"}}"#
    );
    assert_eq!(
        json(Remove { name: "x".into() }),
        r#"{"remove":{"name":"x"}}"#
    );
    assert_eq!(json(List::default()), r#"{"list":{}}"#);
    assert_eq!(json(Queues::default()), r#"{"queues":{}}"#);
}

#[test]
fn malformed_requests_are_refused() {
    for text in [
        "",
        "{}",
        "[]",
        r#"{"add":{}}"#,
        r#"{"add":{"name":"a","mode":1}}"#,
        r#"{"add":{"name":1}}"#,
        r#"{"list":{},"queues":{}}"#,
        r#"{"shutdown":{}}"#,
        r#"{"list":{}} x"#,
        &"[".repeat(3000),
    ] {
        assert!(Request::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert_eq!(
        Request::parse(br#"{"list":{}}"#).unwrap(),
        Request::List(List::default())
    );
}

#[test]
fn answers_are_written_as_documented() {
    let text = |reply: Reply| String::from_utf8(reply.encode().unwrap()).unwrap();
    assert_eq!(
        text(Reply::error(ErrorKind::NameInUse, "taken")),
        r#"{"error":{"kind":"name-in-use","message":"taken"}}"#
    );
    let listing = Listing {
        sockets: vec![
            SocketEntry {
                name: "wl-accept".into(),
                kind: SocketKind::Listening { path: "/a".into() },
            },
            SocketEntry {
                name: "wl-conn-0".into(),
                kind: SocketKind::Connected,
            },
        ],
        ..Listing::default()
    };
    let bytes = text(Reply::Listing(Box::new(listing.clone())));
    assert!(bytes.contains(r#"{"name":"wl-accept","kind":"listening","path":"/a"}"#));
    assert!(bytes.contains(r#"{"name":"wl-conn-0","kind":"connected"}"#));
    assert_eq!(serde_json::from_str::<Listing>(&bytes).unwrap(), listing);
}

#[test]
fn a_newer_devices_reason_is_still_a_refusal() {
    let answer = Answer::from(br#"{"error":{"kind":"moon","message":"m"}}"#.to_vec());
    match answer.parse::<Added>() {
        Err(ControlError::Refused(reply)) => assert_eq!(reply.kind, ErrorKind::Unknown),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_largest_listing_fits_a_packet() {
    let traffic = Traffic {
        messages: u64::MAX,
        bytes: u64::MAX,
        descriptors: u64::MAX,
    };
    let vfd = VfdEntry {
        id: u32::MAX,
        kind: "memory".into(),
        name: Some("n".repeat(31)),
        size: Some(u64::MAX),
        to_host: traffic,
        to_guest: traffic,
        queued_bytes: u64::MAX,
        queued_descriptors: u64::MAX,
        ..VfdEntry::default()
    };
    let listing = Listing {
        vfds: vec![vfd; MAX_VFDS_PER_LISTING],
        ..Listing::default()
    };
    // Half of the packet is left for the names.
    let bytes = Reply::Listing(Box::new(listing)).encode().unwrap();
    assert!(bytes.len() < MAX_REPLY_BYTES * 3 / 4, "{}", bytes.len());
}

fn accept_one(listener: &OwnedFd) -> OwnedFd {
    // The standard type does not mind the socket's type.
    let listener = UnixListener::from(listener.try_clone().unwrap());
    let (stream, _) = listener.accept().unwrap();
    stream.into()
}

#[test]
fn a_descriptor_travels_with_its_request_and_the_answer_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ctl");
    let listener = bind_listener(&path).unwrap();
    let mut client = Client::connect(&path).unwrap();
    let server = accept_one(&listener);

    let (mine, theirs) = UnixStream::pair().unwrap();
    let request = Request::from(Add {
        name: "wl-conn-%d".into(),
        path: None,
    });
    client.send(&request, Some(theirs.as_fd())).unwrap();
    assert!(client.receive().unwrap().is_none());

    let mut buffer = [0; MAX_REQUEST_BYTES];
    let packet = receive_packet(&server, &mut buffer).unwrap();
    assert_eq!(Request::parse(&buffer[..packet.len]).unwrap(), request);
    let [received] = <[OwnedFd; 1]>::try_from(packet.descriptors).unwrap();
    UnixStream::from(received).write_all(b"hello").unwrap();
    let mut bytes = [0; 5];
    (&mine).read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");

    let reply = Reply::Added(Added {
        name: "wl-conn-0".into(),
    });
    send_packet(&server, &reply.encode().unwrap(), None).unwrap();
    let answer = client.receive().unwrap().unwrap();
    assert_eq!(answer.parse::<Added>().unwrap().name, "wl-conn-0");

    drop(server);
    assert!(matches!(client.receive(), Err(ControlError::Closed)));
}

#[test]
fn a_call_ends_at_its_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ctl");
    let _listener = bind_listener(&path).unwrap();
    let mut client = Client::connect(&path).unwrap();
    let result = client.call(List::default(), None, Duration::from_millis(1));
    assert!(matches!(result, Err(ControlError::Timeout)), "{result:?}");
}

#[test]
fn overlong_packets_and_surplus_descriptors_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ctl");
    let listener = bind_listener(&path).unwrap();
    let client = Client::connect(&path).unwrap();
    let server = accept_one(&listener);
    send_packet(&client, &[b'x'; 100], None).unwrap();
    let packet = receive_packet(&server, &mut [0; 10]).unwrap();
    assert!(packet.truncated);
    assert!(send_packet(&client, &[], None).is_err());
}
