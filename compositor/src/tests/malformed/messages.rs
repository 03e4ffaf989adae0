//! Headers, object numbers, argument encoding, descriptors.

use std::fs::File;

use super::{Attacker, Case, Either, Killed, Served, sweep};
use crate::tests::client::memory;
use crate::tests::wire::{DISPLAY, Msg, header};

/// The registry's number in every connection of the suite.
const REGISTRY: u32 = 2;

fn raw(attacker: &mut Attacker, bytes: Vec<u8>) {
    attacker.raw.send_bytes(bytes, Vec::new());
}

/// `sync` with a number of choice.
fn sync(attacker: &mut Attacker, id: u32) {
    attacker.send(Msg::new(DISPLAY, 0).u(id));
}

fn bind(attacker: &mut Attacker, name: u32, interface: &[u8], version: u32, id: u32) {
    attacker.send(
        Msg::new(REGISTRY, 0)
            .u(name)
            .bytes(interface)
            .u(version)
            .u(id),
    );
}

fn null() -> File {
    File::open("/dev/null").unwrap()
}

#[test]
fn headers() {
    let cases: &[Case] = &[
        ("size 0", Killed, |_, a| {
            raw(a, header(DISPLAY, 0, 0, &[0; 4]))
        }),
        ("size 4", Killed, |_, a| {
            raw(a, header(DISPLAY, 0, 4, &[0; 4]))
        }),
        ("size 7", Killed, |_, a| {
            raw(a, header(DISPLAY, 0, 7, &[0; 4]))
        }),
        ("size not a multiple of 4", Killed, |_, a| {
            raw(a, header(DISPLAY, 0, 13, &[0; 8]))
        }),
        ("largest size, nothing behind", Either, |_, a| {
            raw(a, header(DISPLAY, 0, 0xfffc, &[]))
        }),
        ("larger than the protocol's 4096 bytes", Killed, |_, a| {
            raw(a, header(DISPLAY, 0, 8192, &[0; 8184]))
        }),
        ("longer than its arguments", Either, |_, a| {
            let id = a.raw.id().to_ne_bytes();
            raw(a, header(DISPLAY, 0, 16, &[id, [0; 4]].concat()));
        }),
        ("shorter than its arguments", Killed, |_, a| {
            raw(a, header(DISPLAY, 0, 8, &[]))
        }),
        ("half a header", Either, |_, a| raw(a, vec![1, 0, 0])),
        ("all bits set", Killed, |_, a| raw(a, vec![0xff; 256])),
        ("pseudo-random bytes", Killed, |_, a| {
            let mut seed = 0x1234_5678_u32;
            let noise = (0..65_536).map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 17;
                seed ^= seed << 5;
                seed.to_ne_bytes()[0]
            });
            raw(a, noise.collect());
        }),
    ];
    sweep(cases);
}

#[test]
fn objects_and_opcodes() {
    let cases: &[Case] = &[
        ("object 0", Killed, |_, a| raw(a, header(0, 0, 8, &[]))),
        ("object that never was", Killed, |_, a| {
            a.send(Msg::new(0xdead, 0))
        }),
        ("object of the compositor's range", Killed, |_, a| {
            a.send(Msg::new(0xff00_0001, 0))
        }),
        ("object number of all bits", Killed, |_, a| {
            a.send(Msg::new(u32::MAX, 0))
        }),
        ("opcode that does not exist", Killed, |_, a| {
            a.send(Msg::new(DISPLAY, 99))
        }),
        ("largest opcode", Killed, |_, a| {
            a.send(Msg::new(a.surface, u16::MAX))
        }),
        ("object used after its end", Killed, |_, a| {
            a.send(Msg::new(a.surface, 0));
            a.commit(a.surface);
        }),
        ("new object 0", Killed, |_, a| sync(a, 0)),
        ("new object that exists", Killed, |_, a| sync(a, a.surface)),
        ("new object far ahead", Killed, |_, a| sync(a, 0x00ff_ffff)),
        ("new object of the compositor's range", Killed, |_, a| {
            sync(a, 0xff00_0000)
        }),
        ("null where an object is due", Killed, |_, a| {
            a.raw.create(a.wm, 2, |m| m.u(0));
        }),
        ("argument object that never was", Killed, |_, a| {
            a.raw.create(a.wm, 2, |m| m.u(4444));
        }),
        ("argument object of another kind", Killed, |_, a| {
            a.raw.create(a.wm, 2, |m| m.u(REGISTRY));
        }),
        ("global that never was", Killed, |_, a| {
            let id = a.raw.id();
            bind(a, 0xffff, b"wl_seat\0", 1, id);
        }),
        ("global under another name", Killed, |_, a| {
            let (name, id) = (a.raw.global("wl_shm").0, a.raw.id());
            bind(a, name, b"wl_seat\0", 1, id);
        }),
        ("global version 0", Killed, |_, a| {
            let (name, id) = (a.raw.global("wl_seat").0, a.raw.id());
            bind(a, name, b"wl_seat\0", 0, id);
        }),
        ("global version too new", Killed, |_, a| {
            let (name, id) = (a.raw.global("wl_seat").0, a.raw.id());
            bind(a, name, b"wl_seat\0", u32::MAX, id);
        }),
        ("global name without its end", Killed, |_, a| {
            let (name, id) = (a.raw.global("wl_seat").0, a.raw.id());
            bind(a, name, b"wl_seat!", 1, id);
        }),
    ];
    sweep(cases);
}

#[test]
fn strings() {
    fn title(attacker: &mut Attacker, bytes: &[u8]) {
        let window = attacker.role();
        attacker.send(Msg::new(window.toplevel, 2).bytes(bytes));
    }
    let cases: &[Case] = &[
        ("string of 4 GiB", Killed, |_, a| {
            let window = a.role();
            a.send(Msg::new(window.toplevel, 2).u(u32::MAX));
        }),
        ("string longer than its message", Killed, |_, a| {
            let window = a.role();
            a.send(Msg::new(window.toplevel, 2).u(64).u(0));
        }),
        ("null string", Killed, |_, a| {
            let window = a.role();
            a.send(Msg::new(window.toplevel, 2).u(0));
        }),
        ("string without its end", Killed, |_, a| title(a, b"abcd")),
        ("string with a NUL inside", Either, |_, a| {
            title(a, b"a\0b\0")
        }),
        ("string that is not UTF-8", Either, |_, a| {
            title(a, b"\xff\xfe\x80\0")
        }),
        ("title as long as a message", Served, |_, a| {
            title(a, &[&[b'x'; 4000][..], b"\0"].concat())
        }),
        ("empty title", Served, |_, a| title(a, b"\0")),
        ("title of control characters", Served, |_, a| {
            title(a, b"\x1b]0;x\x07\x1b[2J\0")
        }),
        ("title changed 10,000 times", Served, |fixture, a| {
            let window = a.map(fixture);
            for n in 0..10_000 {
                a.send(Msg::new(window.toplevel, 2).string(&n.to_string()));
            }
        }),
    ];
    sweep(cases);
}

#[test]
fn descriptors() {
    let cases: &[Case] = &[
        ("pool without a descriptor", Killed, |_, a| {
            a.raw.create(a.shm, 0, |m| m.i(4096));
        }),
        ("28 descriptors with one sync", Either, |_, a| {
            let id = a.raw.id();
            a.send((0..28).fold(Msg::new(DISPLAY, 0).u(id), |m, _| m.fd(null())));
        }),
        ("40 syncs with 28 descriptors each", Either, |_, a| {
            for _ in 0..40 {
                let id = a.raw.id();
                a.send((0..28).fold(Msg::new(DISPLAY, 0).u(id), |m, _| m.fd(null())));
            }
        }),
        ("a descriptor with every request", Either, |_, a| {
            for _ in 0..2000 {
                a.send(Msg::new(a.surface, 9).is([0, 0, 1, 1]).fd(null()));
            }
        }),
        ("/dev/null as a pool", Killed, |_, a| {
            a.pool(null(), 4096);
        }),
        ("pipe as a pool", Killed, |_, a| {
            let (read, _write) = std::io::pipe().unwrap();
            a.pool(read, 4096);
        }),
        ("socket as a pool", Killed, |_, a| {
            let (end, _other) = std::os::unix::net::UnixStream::pair().unwrap();
            a.pool(end, 4096);
        }),
        ("directory as a pool", Killed, |_, a| {
            a.pool(File::open("/").unwrap(), 4096);
        }),
        ("500 pools, never destroyed", Either, |_, a| {
            for _ in 0..500 {
                a.pool(memory(4096), 4096);
            }
        }),
    ];
    sweep(cases);
}
