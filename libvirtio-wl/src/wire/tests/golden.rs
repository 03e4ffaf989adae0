//! Each message, byte for byte, both ways.

use super::{id, ours, padded, words};
use crate::wire::{
    ContextName, DmabufLayout, DmabufSync, Event, Features, MemoryRange, PipeDirection, Request,
    Response, SendItem, VfdFlags, VfdInfo, VfdKind, encode_recv_head, encode_send_head,
};

fn request(request: &Request<'_>, features: Features, bytes: &[u8]) {
    let mut out = Vec::new();
    request.encode(features, &mut out);
    assert_eq!(out, bytes, "encoding {request:?}");
    assert_eq!(Request::parse(bytes, features).as_ref(), Ok(request));
}

fn event(event: &Event<'_>, features: Features, bytes: &[u8]) {
    let mut out = Vec::new();
    event.encode(features, &mut out);
    assert_eq!(out, bytes, "encoding {event:?}");
    assert_eq!(Event::parse(bytes, features).as_ref(), Ok(event));
}

fn response(response: &Response, features: Features, bytes: &[u8]) {
    let mut out = Vec::new();
    response.encode(features, &mut out);
    assert_eq!(out, bytes, "encoding {response:?}");
    assert_eq!(Response::parse(bytes, features).as_ref(), Ok(response));
    // What a driver sees: 64 bytes whatever was written.
    out.resize(64, 0);
    assert_eq!(Response::parse(&out, features).as_ref(), Ok(response));
}

#[test]
fn new_memory() {
    let new = Request::NewMemory {
        id: id(7),
        flags: VfdFlags::empty(),
        size: 0x1_2000,
    };
    request(&new, ours(), &padded(&[0x100, 0, 7, 0, 0, 0, 0x1_2000]));
    let legacy = Request::NewMemory {
        id: id(7),
        flags: VfdFlags::WRITE | VfdFlags::MAP,
        size: 4096,
    };
    request(
        &legacy,
        Features::empty(),
        &padded(&[0x100, 0, 7, 3, 0, 0, 4096]),
    );
}

#[test]
fn new_contexts() {
    let default = Request::NewContext {
        id: id(1),
        name: ContextName::DEFAULT,
    };
    request(&default, ours(), &padded(&[0x104, 0, 1]));

    let mut bytes = words(&[0x10a, 0, 0x7ff, 0, 0, 0, 0]);
    bytes.extend_from_slice(b"wl-accept");
    bytes.resize(64, 0);
    let named = Request::NewContext {
        id: id(0x7ff),
        name: ContextName::new("wl-accept").expect("a name"),
    };
    request(&named, ours(), &bytes);
}

#[test]
fn a_full_name_has_no_terminator() {
    let text = "0123456789abcdef0123456789abcdef";
    let mut bytes = words(&[0x10a, 0, 1, 0, 0, 0, 0]);
    bytes.extend_from_slice(text.as_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let named = Request::NewContext {
        id: id(1),
        name: ContextName::new(text).expect("a name"),
    };
    request(&named, ours(), &bytes);
}

#[test]
fn new_pipes() {
    for (direction, flags) in [(PipeDirection::Write, 1), (PipeDirection::Read, 2)] {
        let pipe = Request::NewPipe {
            id: id(2),
            direction,
        };
        request(&pipe, ours(), &padded(&[0x105, 0, 2, flags]));
    }
}

#[test]
fn dmabufs() {
    let layout = DmabufLayout {
        width: 640,
        height: 480,
        format: 0x3432_5258,
        strides: [2560, 1, 2],
        offsets: [3, 4, 5],
    };
    let tail = [640, 480, 0x3432_5258, 2560, 1, 2, 3, 4, 5];
    let mut bytes = vec![0x107, 0, 3, 0, 0, 0, 0];
    bytes.extend(tail);
    request(
        &Request::NewDmabuf { id: id(3), layout },
        ours(),
        &words(&bytes),
    );

    let info = VfdInfo {
        id: id(3),
        flags: VfdFlags::empty(),
        memory: Some(MemoryRange { pfn: 9, size: 4096 }),
    };
    let mut bytes = vec![0x1002, 0, 3, 0, 9, 0, 4096];
    bytes.extend(tail);
    response(
        &Response::VfdNewDmabuf(info, layout),
        ours(),
        &words(&bytes),
    );

    let sync = Request::DmabufSync {
        id: id(3),
        flags: DmabufSync::WRITE | DmabufSync::END,
    };
    request(&sync, ours(), &words(&[0x108, 0, 3, 6]));
}

#[test]
fn close_and_credit() {
    let close = Request::Close {
        id: id(0x4000_0001),
    };
    request(&close, ours(), &words(&[0x101, 0, 0x4000_0001]));
    let credit = Request::Credit {
        id: id(5),
        units: 4096,
    };
    request(&credit, ours(), &words(&[0x180, 0, 5, 4096]));
}

#[test]
fn refresh() {
    let refresh = Request::Refresh {
        id: id(0x4000_0003),
    };
    request(&refresh, ours(), &words(&[0x181, 0, 0x4000_0003]));
}

#[test]
fn send() {
    let mut bytes = words(&[0x102, 0, 5, 2, 1, 0x4000_0002]);
    let mut head = Vec::new();
    encode_send_head(id(5), &[id(1), id(0x4000_0002)], &mut head);
    assert_eq!(head, bytes);
    bytes.extend_from_slice(b"abc");
    let send = Request::Send {
        id: id(5),
        vfds: vec![id(1), id(0x4000_0002)],
        data: b"abc",
    };
    request(&send, ours(), &bytes);
    let nothing = Request::Send {
        id: id(5),
        vfds: vec![],
        data: b"",
    };
    request(&nothing, ours(), &words(&[0x102, 0, 5, 0]));
}

#[test]
fn send_foreign_in_both_forms() {
    let mut v1 = words(&[0x109, 0, 5, 2, 0, 9, 1, 77]);
    v1.push(b'x');
    let send = Request::SendForeign {
        id: id(5),
        items: vec![SendItem::Local(id(9)), SendItem::VirtGpu(77)],
        data: b"x",
    };
    request(&send, Features::USE_SHMEM, &v1);

    let mut v2 = words(&[
        0x109,
        0,
        5,
        3,
        0,
        0,
        9,
        0,
        2,
        0,
        0xffff_fffe,
        0x1,
        3,
        0,
        0,
        0,
    ]);
    v2.push(b'x');
    let send = Request::SendForeign {
        id: id(5),
        items: vec![
            SendItem::Local(id(9)),
            SendItem::VirtGpuFence(0x1_ffff_fffe),
            SendItem::VirtGpuSignaledFence,
        ],
        data: b"x",
    };
    request(&send, Features::SEND_FENCES, &v2);
}

#[test]
fn events() {
    let info = VfdInfo {
        id: id(0x4000_0000),
        flags: VfdFlags::READ | VfdFlags::WRITE,
        memory: None,
    };
    event(
        &Event::VfdNew(info),
        ours(),
        &words(&[0x100, 0, 0x4000_0000, 3, 0x10_0000, 0, 0, 0]),
    );
    event(
        &Event::VfdNew(info),
        Features::TRANS_FLAGS,
        &words(&[0x100, 0, 0x4000_0000, 3, 0, 0, 0, 0]),
    );
    event(&Event::Hup { id: id(5) }, ours(), &words(&[0x106, 0, 5]));
    let mut bytes = words(&[0x103, 0, 5, 1, 0x4000_0000]);
    let mut head = Vec::new();
    encode_recv_head(id(5), &[id(0x4000_0000)], &mut head);
    assert_eq!(head, bytes);
    bytes.extend_from_slice(b"abc");
    let recv = Event::Recv {
        id: id(5),
        vfds: vec![id(0x4000_0000)],
        data: b"abc",
    };
    event(&recv, ours(), &bytes);
    // VFDs may come ahead of their bytes.
    let ahead = Event::Recv {
        id: id(5),
        vfds: vec![id(0x4000_0000)],
        data: b"",
    };
    event(&ahead, ours(), &words(&[0x103, 0, 5, 1, 0x4000_0000]));
}

#[test]
fn responses() {
    for (value, bytes) in [
        (Response::Ok, 0x1000),
        (Response::Err, 0x1100),
        (Response::OutOfMemory, 0x1101),
        (Response::InvalidId, 0x1102),
        (Response::InvalidType, 0x1103),
        (Response::InvalidFlags, 0x1104),
        (Response::InvalidCmd, 0x1105),
    ] {
        response(&value, ours(), &words(&[bytes]));
        assert_eq!(value.errno().is_none(), value == Response::Ok);
    }
    let info = VfdInfo {
        id: id(4),
        flags: VfdFlags::empty(),
        memory: Some(MemoryRange { pfn: 0, size: 8192 }),
    };
    response(
        &Response::VfdNew(info),
        ours(),
        &words(&[0x1001, 0, 4, 0, 0, 0, 8192, 0]),
    );
}

#[test]
fn stock_devices_answer_contexts_with_page_zero() {
    let bytes = words(&[0x1001, 0, 4, 3, 0, 0, 0, 0]);
    let Ok(Response::VfdNew(info)) = Response::parse(&bytes, ours()) else {
        panic!("no VFD");
    };
    assert_eq!(info.memory, None);
    assert_eq!(info.kind(ours()), VfdKind::Socket);
}

#[test]
fn kinds_follow_the_meaning_of_flags() {
    let old = Features::empty();
    let new = Features::TRANS_FLAGS;
    let pipe = |read, write| VfdKind::Pipe { read, write };
    for (features, flags, memory, kind) in [
        (new, 3, None, VfdKind::Socket),
        (new, 2, None, pipe(true, false)),
        (new, 1, None, pipe(false, true)),
        (new, 0, None, pipe(false, false)),
        (new, 8, None, VfdKind::Fence),
        (new, 0, Some(5), VfdKind::Memory { size: 5 }),
        (old, 4, None, VfdKind::Socket),
        (old, 0, None, pipe(true, true)),
        (old, 3, Some(5), VfdKind::Memory { size: 5 }),
    ] {
        let info = VfdInfo {
            id: id(1),
            flags: VfdFlags::from_bits_retain(flags),
            memory: memory.map(|size| MemoryRange { pfn: 1, size }),
        };
        assert_eq!(info.kind(features), kind, "{info:?} with {features:?}");
    }
}
