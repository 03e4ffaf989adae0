//! Everything malformed is refused by its name.

use super::{id, ours, padded, words};
use crate::{
    limits::{IN_BUFFER_SIZE, MAX_REQUEST_SIZE},
    wire::{
        ContextName, Event, Features, MsgType, NameError, ParseError, Request, Response, VfdFlags,
        VfdId, VfdInfo,
    },
};

fn refused(bytes: &[u8], features: Features) -> ParseError {
    Request::parse(bytes, features).expect_err("a refusal")
}

/// A request of each type, as drivers send it, and the fewest bytes that make sense.
fn samples() -> Vec<(Vec<u8>, usize)> {
    let mut named = words(&[0x10a, 0, 1, 0, 0, 0, 0]);
    named.extend_from_slice(b"name");
    named.resize(64, 0);
    let mut send = words(&[0x102, 0, 1, 2, 5, 6]);
    send.push(0);
    let mut foreign = words(&[0x109, 0, 1, 1, 0, 0, 5, 0]);
    foreign.push(0);
    vec![
        (padded(&[0x100, 0, 1, 0, 0, 0, 4096]), 28),
        (padded(&[0x104, 0, 1]), 12),
        (named, 64),
        (padded(&[0x105, 0, 1, 1]), 28),
        (padded(&[0x107, 0, 1]), 64),
        (words(&[0x101, 0, 1]), 12),
        (words(&[0x108, 0, 1, 1]), 16),
        (words(&[0x180, 0, 1, 1]), 16),
        (words(&[0x181, 0, 1]), 12),
        // All VFDs and at least a byte.
        (send, 25),
        (foreign, 33),
    ]
}

#[test]
fn truncation_at_every_length() {
    for (bytes, needed) in samples() {
        assert!(Request::parse(&bytes, ours()).is_ok(), "{bytes:x?}");
        for len in 0..needed {
            let error = refused(&bytes[..len], ours());
            // The last byte missing leaves VFDs without data; the rest is truncation.
            let expected = matches!(
                error,
                ParseError::Truncated { actual, .. } if actual == len
            ) || error == ParseError::VfdsWithoutData && len == needed - 1;
            assert!(expected, "{len} of {bytes:x?}: {error}");
        }
        assert!(Request::parse(&bytes[..needed], ours()).is_ok());
    }
}

#[test]
fn trailing_bytes() {
    for (mut bytes, _) in samples() {
        let is_send = matches!(bytes[0], 0x02 | 0x09);
        bytes.push(0);
        let result = Request::parse(&bytes, ours());
        if is_send {
            assert!(result.is_ok());
        } else {
            let actual = bytes.len();
            let allowed = actual - 1;
            assert_eq!(result, Err(ParseError::TrailingBytes { allowed, actual }));
        }
    }
}

#[test]
fn types_of_no_request() {
    for kind in [
        0,
        1,
        0x103,
        0x106,
        0x10b,
        0x182,
        0x1000,
        0x1001,
        0x1100,
        u32::MAX,
    ] {
        assert_eq!(
            refused(&padded(&[kind, 0, 1]), ours()),
            ParseError::UnknownType(kind)
        );
    }
    // Extensions exist only when negotiated.
    assert_eq!(
        refused(&words(&[0x180, 0, 1, 1]), ours() - Features::CREDIT),
        ParseError::UnknownType(0x180)
    );
    assert_eq!(
        refused(&words(&[0x181, 0, 1]), ours() - Features::REFRESH),
        ParseError::UnknownType(0x181)
    );
}

#[test]
fn types_of_no_event_and_no_response() {
    for kind in MsgType::ALL {
        let bytes = padded(&[*kind as u32, 0, 0x4000_0001]);
        let event = matches!(kind, MsgType::VfdNew | MsgType::VfdRecv | MsgType::VfdHup);
        let unknown = ParseError::UnknownType(*kind as u32);
        assert_eq!(
            Event::parse(&bytes, ours()).err() == Some(unknown.clone()),
            !event
        );
        let response = *kind as u32 >= MsgType::RespOk as u32;
        assert_eq!(
            Response::parse(&bytes, ours()).err() == Some(unknown),
            !response
        );
    }
}

#[test]
fn header_flags() {
    for (mut bytes, _) in samples() {
        bytes[5] = 1;
        assert_eq!(refused(&bytes, ours()), ParseError::BadHeaderFlags(0x100));
    }
}

#[test]
fn ids() {
    for (mut bytes, _) in samples() {
        let creates = matches!(bytes[0], 0x00 | 0x04 | 0x05 | 0x07 | 0x0a);
        for raw in [0, 0x8000_0000, 0xc000_0001, u32::MAX] {
            bytes[8..12].copy_from_slice(&u32::to_le_bytes(raw));
            assert_eq!(refused(&bytes, ours()), ParseError::BadId(raw));
        }
        bytes[8..12].copy_from_slice(&0x4000_0001_u32.to_le_bytes());
        assert_eq!(
            Request::parse(&bytes, ours()).is_err(),
            creates,
            "{bytes:x?}"
        );
    }
    for raw in [0, 0x8000_0000] {
        let mut bytes = words(&[0x102, 0, 1, 1, raw]);
        bytes.push(0);
        assert_eq!(refused(&bytes, ours()), ParseError::BadId(raw));
    }
}

#[test]
fn counts() {
    for (count, accepted) in [
        (28, true),
        (29, false),
        (0x4000_0000, false),
        (u32::MAX, false),
    ] {
        let mut bytes = words(&[0x102, 0, 1, count]);
        bytes.extend(words(&[2; 28]));
        bytes.push(0);
        match Request::parse(&bytes, ours()) {
            Ok(Request::Send { vfds, data, .. }) => {
                assert!(accepted);
                assert_eq!((vfds.len(), data.len()), (28, 1));
            }
            other => {
                assert!(!accepted);
                assert_eq!(other, Err(ParseError::TooManyVfds(count)));
            }
        }
        bytes[..4].copy_from_slice(&words(&[0x103]));
        assert_eq!(Event::parse(&bytes, ours()).is_ok(), accepted);
    }
}

#[test]
fn vfds_without_data() {
    assert_eq!(
        refused(&words(&[0x102, 0, 1, 1, 2]), ours()),
        ParseError::VfdsWithoutData
    );
    assert_eq!(
        refused(&words(&[0x109, 0, 1, 1, 0, 0, 2, 0]), ours()),
        ParseError::VfdsWithoutData
    );
}

#[test]
fn flags_of_new_memory() {
    let request = |flags| padded(&[0x100, 0, 1, flags, 0, 0, 4096]);
    for flags in [1, 2, 3, 4, 8, u32::MAX] {
        let error = refused(&request(flags), ours());
        assert_eq!(error, ParseError::BadFlags { flags, allowed: 0 });
        assert_eq!(error.response(), Response::InvalidFlags);
    }
    for flags in 0..=3 {
        assert!(Request::parse(&request(flags), Features::USE_SHMEM).is_ok());
    }
    for flags in [4, 7, 8, u32::MAX] {
        let error = refused(&request(flags), Features::USE_SHMEM);
        assert_eq!(error, ParseError::BadLegacyFlags(flags));
        assert_eq!(error.response(), Response::Err);
    }
}

#[test]
fn other_flags() {
    for flags in [0, 3, 4, 7, u32::MAX] {
        let error = refused(&padded(&[0x105, 0, 1, flags]), ours());
        assert_eq!(error, ParseError::BadPipeFlags(flags));
        assert_eq!(error.response(), Response::InvalidFlags);
    }
    assert_eq!(
        refused(&words(&[0x108, 0, 1, 8]), ours()),
        ParseError::BadFlags {
            flags: 8,
            allowed: 7
        }
    );
}

#[test]
fn sizes() {
    let error = refused(&padded(&[0x100, 0, 1]), ours());
    assert_eq!(error, ParseError::ZeroSize);
    let long = vec![0; MAX_REQUEST_SIZE + 1];
    assert_eq!(refused(&long, ours()), ParseError::TooLong(long.len()));
    let long = vec![0; IN_BUFFER_SIZE + 1];
    assert_eq!(
        Event::parse(&long, ours()),
        Err(ParseError::TooLong(long.len()))
    );
}

#[test]
fn kinds_of_foreign_entries() {
    let v1 = |kind| [words(&[0x109, 0, 1, 1, kind, 2]), vec![0]].concat();
    let v2 = |kind| [words(&[0x109, 0, 1, 1, kind, 0, 2, 0]), vec![0]].concat();
    for (kind, in_v1, in_v2) in [
        (0, true, true),
        (1, true, true),
        (2, false, true),
        (3, false, true),
        (4, false, false),
        (u32::MAX, false, false),
    ] {
        let bad = ParseError::BadSendKind(kind);
        let result = Request::parse(&v1(kind), Features::empty()).map(drop);
        assert_eq!(result, if in_v1 { Ok(()) } else { Err(bad.clone()) });
        let result = Request::parse(&v2(kind), Features::SEND_FENCES).map(drop);
        assert_eq!(result, if in_v2 { Ok(()) } else { Err(bad) });
    }
}

#[test]
fn names() {
    let request = |name: &[u8]| {
        let mut bytes = words(&[0x10a, 0, 1, 0, 0, 0, 0]);
        bytes.extend_from_slice(name);
        bytes.resize(64, 0);
        bytes
    };
    let error = refused(&request(b"\xff"), ours());
    assert_eq!(error, ParseError::BadName(NameError::NotUtf8));
    assert_eq!(error.response(), Response::Err);
    // What C leaves behind the terminator does not matter.
    let bytes = request(b"abc\0\xff\xff");
    assert_eq!(
        Request::parse(&bytes, ours()),
        Ok(Request::NewContext {
            id: id(1),
            name: ContextName::new("abc").expect("a name"),
        })
    );
    assert_eq!(
        ContextName::new(&"x".repeat(33)),
        Err(NameError::TooLong(33))
    );
    assert_eq!(ContextName::new("a\0"), Err(NameError::Nul));
    assert_eq!(ContextName::new("é").expect("a name").as_str(), "é");
}

#[test]
fn memory_outside_the_region() {
    let event = |low: u32, high: u32, size| words(&[0x100, 0, 0x4000_0001, 0, low, high, size]);
    for (low, high, size, accepted) in [
        (0, 0, 4096, true),
        (0xf_ffff, 0, 4096, true),
        (0xf_ffff, 0, 4097, false),
        (0x10_0001, 0, 1, false),
        (0, 1, 4096, false),
        (u32::MAX, u32::MAX, 4096, false),
    ] {
        let bytes = event(low, high, size);
        assert_eq!(Event::parse(&bytes, ours()).is_ok(), accepted, "{bytes:x?}");
    }
    // Absolute pages may lie anywhere that can be addressed.
    let bytes = event(0, 1, 4096);
    assert!(Event::parse(&bytes, Features::empty()).is_ok());
    let bytes = event(u32::MAX, u32::MAX, 4096);
    assert!(Event::parse(&bytes, Features::empty()).is_err());
}

#[test]
fn announcements_use_ids_of_the_device() {
    let info = |raw| VfdInfo {
        id: id(raw),
        flags: VfdFlags::READ,
        memory: None,
    };
    let mut bytes = Vec::new();
    Event::VfdNew(info(5)).encode(ours(), &mut bytes);
    assert_eq!(Event::parse(&bytes, ours()), Err(ParseError::BadId(5)));
    assert_eq!(VfdId::host(5), Err(ParseError::BadId(5)));
    assert_eq!(
        VfdId::guest(0x4000_0005),
        Err(ParseError::BadId(0x4000_0005))
    );
}
