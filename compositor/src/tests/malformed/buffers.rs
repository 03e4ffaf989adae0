//! Pools and buffers that are not what they claim to be.

use super::{Attacker, Case, Either, Fixture, Killed, Served, sweep};
use crate::tests::client::memory;
use crate::tests::hostile::{SIDE, XRGB};
use crate::tests::wire::Msg;

/// Bytes of a whole buffer of the hostile window.
const BYTES: i32 = SIDE * SIDE * 4;

/// A buffer with these arguments, out of a good pool of one page more than one buffer.
fn odd_buffer(attacker: &mut Attacker, arguments: [i32; 5]) -> u32 {
    let size = BYTES + 4096;
    let pool = attacker.pool(memory(size as u64), size);
    attacker.pool_buffer(pool, arguments)
}

/// The same buffer, shown in a window.
fn show_odd_buffer(fixture: &mut Fixture, attacker: &mut Attacker, arguments: [i32; 5]) {
    attacker.map(fixture);
    let buffer = odd_buffer(attacker, arguments);
    show(attacker, buffer);
}

fn show(attacker: &mut Attacker, buffer: u32) {
    attacker.attach(attacker.surface, buffer);
    attacker.send(Msg::new(attacker.surface, 9).is([0, 0, i32::MAX, i32::MAX]));
    attacker.commit(attacker.surface);
}

#[test]
fn pools() {
    let cases: &[Case] = &[
        ("pool of 0 bytes", Killed, |_, a| {
            a.pool(memory(4096), 0);
        }),
        ("pool of -1 bytes", Killed, |_, a| {
            a.pool(memory(4096), -1);
        }),
        ("pool of the least number", Killed, |_, a| {
            a.pool(memory(4096), i32::MIN);
        }),
        ("pool of 2 GiB on one page", Either, |_, a| {
            a.pool(memory(4096), i32::MAX);
        }),
        ("pool made smaller", Killed, |_, a| {
            let pool = a.pool(memory(8192), 8192);
            a.send(Msg::new(pool, 2).i(4096));
        }),
        ("pool resized to -1", Killed, |_, a| {
            let pool = a.pool(memory(8192), 8192);
            a.send(Msg::new(pool, 2).i(-1));
        }),
        ("pool resized beyond its file", Either, |_, a| {
            let pool = a.pool(memory(8192), 8192);
            a.send(Msg::new(pool, 2).i(i32::MAX));
        }),
        (
            "pool destroyed before its buffer is shown",
            Served,
            |fixture, a| {
                a.map(fixture);
                let pool = a.pool(memory(BYTES as u64), BYTES);
                let buffer = a.pool_buffer(pool, [0, SIDE, SIDE, SIDE * 4, XRGB]);
                a.send(Msg::new(pool, 1));
                show(a, buffer);
            },
        ),
    ];
    sweep(cases);
}

#[test]
fn buffer_arguments() {
    let cases: &[Case] = &[
        ("negative offset", Killed, |f, a| {
            show_odd_buffer(f, a, [-4, SIDE, SIDE, SIDE * 4, XRGB])
        }),
        ("least offset", Killed, |f, a| {
            show_odd_buffer(f, a, [i32::MIN, SIDE, SIDE, SIDE * 4, XRGB])
        }),
        ("largest offset", Killed, |f, a| {
            show_odd_buffer(f, a, [i32::MAX, SIDE, SIDE, SIDE * 4, XRGB])
        }),
        ("offset just beyond the pool", Killed, |f, a| {
            show_odd_buffer(f, a, [4100, SIDE, SIDE, SIDE * 4, XRGB])
        }),
        ("offset that is not a multiple of 4", Either, |f, a| {
            show_odd_buffer(f, a, [3, SIDE, SIDE, SIDE * 4, XRGB])
        }),
        ("width 0", Killed, |f, a| {
            show_odd_buffer(f, a, [0, 0, SIDE, SIDE * 4, XRGB])
        }),
        ("height 0", Killed, |f, a| {
            show_odd_buffer(f, a, [0, SIDE, 0, SIDE * 4, XRGB])
        }),
        ("width -1", Killed, |f, a| {
            show_odd_buffer(f, a, [0, -1, SIDE, SIDE * 4, XRGB])
        }),
        ("height -1", Killed, |f, a| {
            show_odd_buffer(f, a, [0, SIDE, -1, SIDE * 4, XRGB])
        }),
        ("largest width and height", Killed, |f, a| {
            show_odd_buffer(f, a, [0, i32::MAX, i32::MAX, SIDE * 4, XRGB])
        }),
        ("largest height with stride 0", Killed, |f, a| {
            show_odd_buffer(f, a, [0, SIDE, i32::MAX, 0, XRGB])
        }),
        ("stride 0", Killed, |f, a| {
            show_odd_buffer(f, a, [0, SIDE, SIDE, 0, XRGB])
        }),
        ("stride smaller than a row", Killed, |f, a| {
            show_odd_buffer(f, a, [0, SIDE, SIDE, SIDE, XRGB])
        }),
        ("negative stride", Killed, |f, a| {
            show_odd_buffer(f, a, [0, SIDE, SIDE, -SIDE * 4, XRGB])
        }),
        ("largest stride", Killed, |f, a| {
            show_odd_buffer(f, a, [0, SIDE, SIDE, i32::MAX, XRGB])
        }),
        ("stride that overflows with the height", Killed, |f, a| {
            show_odd_buffer(f, a, [0, SIDE, 0x4000_0001, 4 * SIDE, XRGB]);
        }),
        ("format that does not exist", Killed, |f, a| {
            show_odd_buffer(f, a, [0, SIDE, SIDE, SIDE * 4, -1])
        }),
        ("format not announced", Killed, |f, a| {
            show_odd_buffer(f, a, [0, SIDE, SIDE, SIDE * 4, 0x3231_564e])
        }),
        ("stride with room to spare", Served, |f, a| {
            let (width, stride) = (8, SIDE * 4);
            show_odd_buffer(f, a, [0, width, SIDE, stride, XRGB]);
        }),
        ("last byte of the pool", Served, |f, a| {
            show_odd_buffer(f, a, [4096, SIDE, SIDE, SIDE * 4, XRGB])
        }),
    ];
    sweep(cases);
}

#[test]
fn memory_that_is_not_there() {
    let cases: &[Case] = &[
        (
            "file cut after the buffer was made",
            Killed,
            |fixture, a| {
                a.map(fixture);
                let (buffer, file) = a.buffer(SIDE, SIDE);
                a.raw.roundtrip(fixture);
                file.set_len(0).unwrap();
                show(a, buffer);
            },
        ),
        (
            "file cut while the buffer is shown",
            Either,
            |fixture, a| {
                a.map(fixture);
                let (buffer, file) = a.buffer(SIDE, SIDE);
                show(a, buffer);
                a.raw.roundtrip(fixture);
                file.set_len(0).unwrap();
            },
        ),
        (
            "file cut, then shown over and over",
            Killed,
            |fixture, a| {
                a.map(fixture);
                let (buffer, file) = a.buffer(SIDE, SIDE);
                file.set_len(4096).unwrap();
                for _ in 0..100 {
                    show(a, buffer);
                }
            },
        ),
        (
            "file shorter than the pool from the start",
            Killed,
            |fixture, a| {
                a.map(fixture);
                let pool = a.pool(memory(4096), BYTES);
                let buffer = a.pool_buffer(pool, [0, SIDE, SIDE, SIDE * 4, XRGB]);
                show(a, buffer);
            },
        ),
        (
            "buffer of 1 GiB in a file of one page",
            Killed,
            |fixture, a| {
                a.map(fixture);
                let size = 1 << 30;
                let pool = a.pool(memory(4096), size);
                let buffer = a.pool_buffer(pool, [0, 16_384, 16_384, 65_536, XRGB]);
                show(a, buffer);
            },
        ),
        ("buffer wider than any monitor", Either, |fixture, a| {
            a.map(fixture);
            let (buffer, _) = a.buffer(200_000, 2);
            show(a, buffer);
        }),
        (
            "buffer destroyed before its commit",
            Either,
            |fixture, a| {
                a.map(fixture);
                let (buffer, _) = a.buffer(SIDE, SIDE);
                a.attach(a.surface, buffer);
                a.send(Msg::new(buffer, 0));
                a.commit(a.surface);
            },
        ),
        ("one buffer on 200 surfaces", Either, |fixture, a| {
            a.map(fixture);
            let (buffer, _) = a.buffer(SIDE, SIDE);
            for _ in 0..200 {
                let surface = a.new_surface();
                a.subsurface(surface, a.surface);
                a.attach(surface, buffer);
                a.commit(surface);
            }
            a.commit(a.surface);
        }),
    ];
    sweep(cases);
}
