//! Damage, regions, scale, transform, viewports, subsurfaces.

use super::{Attacker, Case, Either, Fixture, Killed, Served, sweep};
use crate::tests::hostile::SIDE;
use crate::tests::wire::Msg;

/// Rectangles that overflow, underflow or are inside out.
const RECTS: [[i32; 4]; 9] = [
    [i32::MIN, i32::MIN, i32::MAX, i32::MAX],
    [i32::MAX, i32::MAX, i32::MAX, i32::MAX],
    [i32::MIN, i32::MIN, i32::MIN, i32::MIN],
    [0, 0, i32::MIN, i32::MIN],
    [i32::MAX, 0, 1, 1],
    [-1, -1, i32::MAX, i32::MAX],
    [0, 0, -1, -1],
    [10, 10, -5, i32::MAX],
    [0, 0, 0, 0],
];

/// Sends `RECTS` with a request of the mapped window's surface and shows a buffer.
fn rects(fixture: &mut Fixture, attacker: &mut Attacker, opcode: u16) {
    attacker.map(fixture);
    for rect in RECTS {
        attacker.send(Msg::new(attacker.surface, opcode).is(rect));
        attacker.show(attacker.surface);
    }
}

/// Sets a region full of `RECTS` as opaque (4) or input region (5).
fn region(fixture: &mut Fixture, attacker: &mut Attacker, opcode: u16) {
    attacker.map(fixture);
    let region = attacker.region();
    for rect in RECTS {
        attacker.send(Msg::new(region, 1).is(rect));
        attacker.send(Msg::new(region, 2).is(rect));
    }
    attacker.send(Msg::new(attacker.surface, opcode).u(region));
    attacker.show(attacker.surface);
}

/// One request with one number on the mapped window's surface, then a buffer.
fn number(fixture: &mut Fixture, attacker: &mut Attacker, opcode: u16, value: i32) {
    attacker.map(fixture);
    attacker.send(Msg::new(attacker.surface, opcode).i(value));
    attacker.show(attacker.surface);
}

#[test]
fn damage_and_regions() {
    let cases: &[Case] = &[
        ("extreme surface damage", Either, |f, a| rects(f, a, 2)),
        ("extreme buffer damage", Either, |f, a| rects(f, a, 9)),
        ("extreme opaque region", Either, |f, a| region(f, a, 4)),
        ("extreme input region", Either, |f, a| region(f, a, 5)),
        ("50,000 damage rectangles in one commit", Served, |f, a| {
            a.map(f);
            for n in 0..50_000 {
                a.send(Msg::new(a.surface, 9).is([n % SIDE, n % 7, 1, 1]));
            }
            a.show(a.surface);
        }),
        ("a region of 20,000 rectangles", Either, |f, a| {
            a.map(f);
            let region = a.region();
            for n in 0..20_000 {
                a.send(Msg::new(region, 1).is([n * 2, n, 1, 1]));
            }
            a.send(Msg::new(a.surface, 5).u(region));
            a.show(a.surface);
        }),
        ("extreme attach offset", Either, |f, a| {
            a.map(f);
            let (buffer, _) = a.buffer(SIDE, SIDE);
            a.send(Msg::new(a.surface, 1).u(buffer).is([i32::MIN, i32::MAX]));
            a.commit(a.surface);
        }),
        ("extreme offset, again and again", Either, |f, a| {
            a.map(f);
            for _ in 0..10 {
                a.send(Msg::new(a.surface, 10).is([i32::MAX, i32::MIN]));
                a.show(a.surface);
            }
        }),
        ("20,000 frame callbacks", Either, |f, a| {
            a.map(f);
            for _ in 0..20_000 {
                a.raw.create(a.surface, 3, |m| m);
            }
            a.commit(a.surface);
        }),
    ];
    sweep(cases);
}

#[test]
fn scale_and_transform() {
    let cases: &[Case] = &[
        ("scale 0", Killed, |f, a| number(f, a, 8, 0)),
        ("scale -1", Killed, |f, a| number(f, a, 8, -1)),
        ("least scale", Killed, |f, a| number(f, a, 8, i32::MIN)),
        ("largest scale", Either, |f, a| number(f, a, 8, i32::MAX)),
        ("scale that does not divide the buffer", Either, |f, a| {
            number(f, a, 8, 7)
        }),
        ("transform 8", Either, |f, a| number(f, a, 7, 8)),
        ("transform -1", Either, |f, a| number(f, a, 7, -1)),
        ("every transform", Served, |f, a| {
            a.map(f);
            for transform in 0..8 {
                a.send(Msg::new(a.surface, 7).i(transform));
                a.show(a.surface);
            }
        }),
    ];
    sweep(cases);
}

/// A number as wl_fixed.
fn fixed(value: i32) -> i32 {
    value * 256
}

/// Sets the viewport of the mapped window and shows a buffer.
fn viewport(
    fixture: &mut Fixture,
    attacker: &mut Attacker,
    source: Option<[i32; 4]>,
    size: Option<[i32; 2]>,
) {
    attacker.map(fixture);
    let viewport = attacker.viewport(attacker.surface);
    if let Some(source) = source {
        attacker.send(Msg::new(viewport, 1).is(source));
    }
    if let Some(size) = size {
        attacker.send(Msg::new(viewport, 2).is(size));
    }
    attacker.show(attacker.surface);
}

#[test]
fn viewports() {
    let whole = fixed(SIDE);
    assert_eq!(whole, 16_384, "the cases below are written for this");
    let cases: &[Case] = &[
        ("source of negative corner", Killed, |f, a| {
            viewport(f, a, Some([-1, 0, 256, 256]), None)
        }),
        ("source of size 0", Killed, |f, a| {
            viewport(f, a, Some([0, 0, 0, 0]), None)
        }),
        ("source of negative size", Killed, |f, a| {
            viewport(f, a, Some([0, 0, -2, 256]), None)
        }),
        ("largest source", Killed, |f, a| {
            viewport(f, a, Some([i32::MAX; 4]), Some([10, 10]))
        }),
        ("source just outside the buffer", Killed, |f, a| {
            viewport(f, a, Some([0, 0, 16_640, 256]), Some([10, 10]));
        }),
        ("source of a fraction without a size", Either, |f, a| {
            viewport(f, a, Some([0, 0, 300, 300]), None)
        }),
        ("size 0", Killed, |f, a| viewport(f, a, None, Some([0, 0]))),
        ("negative size", Killed, |f, a| {
            viewport(f, a, None, Some([-5, 5]))
        }),
        ("half a reset", Killed, |f, a| {
            viewport(f, a, None, Some([-1, 5]))
        }),
        ("largest size", Either, |f, a| {
            viewport(f, a, None, Some([i32::MAX, i32::MAX]))
        }),
        (
            "a fraction of a pixel over the largest size",
            Either,
            |f, a| {
                viewport(f, a, Some([0, 0, 1, 1]), Some([i32::MAX, i32::MAX]));
            },
        ),
        ("the whole buffer in one pixel", Served, |f, a| {
            viewport(f, a, None, Some([1, 1]))
        }),
        ("one pixel over the screen", Served, |f, a| {
            viewport(f, a, Some([0, 0, 256, 256]), Some([4000, 4000]))
        }),
        ("two viewports for a surface", Killed, |f, a| {
            a.map(f);
            a.viewport(a.surface);
            a.viewport(a.surface);
        }),
        ("viewport of a surface that is gone", Killed, |_, a| {
            let viewport = a.viewport(a.surface);
            a.send(Msg::new(a.surface, 0));
            a.send(Msg::new(viewport, 2).is([5, 5]));
        }),
        ("source outside after the buffer shrank", Killed, |f, a| {
            viewport(f, a, Some([0, 0, 16_384, 16_384]), Some([SIDE, SIDE]));
            let (small, _) = a.buffer(8, 8);
            a.attach(a.surface, small);
            a.commit(a.surface);
        }),
    ];
    sweep(cases);
}

/// A chain of subsurfaces below the mapped window, each with a buffer.
fn chain(fixture: &mut Fixture, attacker: &mut Attacker, depth: usize) {
    attacker.map(fixture);
    let (buffer, _) = attacker.buffer(4, 4);
    let mut parent = attacker.surface;
    for _ in 0..depth {
        let surface = attacker.new_surface();
        attacker.subsurface(surface, parent);
        attacker.attach(surface, buffer);
        attacker.commit(surface);
        parent = surface;
    }
    attacker.commit(attacker.surface);
}

#[test]
fn subsurfaces() {
    let cases: &[Case] = &[
        ("subsurface of itself", Killed, |_, a| {
            a.subsurface(a.surface, a.surface);
        }),
        ("a ring of subsurfaces", Killed, |_, a| {
            let other = a.new_surface();
            a.subsurface(other, a.surface);
            a.subsurface(a.surface, other);
        }),
        ("a longer ring of subsurfaces", Killed, |_, a| {
            let (b, c) = (a.new_surface(), a.new_surface());
            a.subsurface(b, a.surface);
            a.subsurface(c, b);
            a.subsurface(a.surface, c);
        }),
        ("two roles for a surface", Killed, |_, a| {
            a.role();
            let parent = a.new_surface();
            a.subsurface(a.surface, parent);
        }),
        ("above a stranger", Killed, |_, a| {
            let (child, stranger) = (a.new_surface(), a.new_surface());
            let subsurface = a.subsurface(child, a.surface);
            a.send(Msg::new(subsurface, 2).u(stranger));
        }),
        ("extreme positions", Either, |f, a| {
            a.map(f);
            for [x, y, ..] in RECTS {
                let surface = a.new_surface();
                let subsurface = a.subsurface(surface, a.surface);
                a.send(Msg::new(subsurface, 1).is([x, y]));
                a.show(surface);
            }
            a.commit(a.surface);
        }),
        ("extreme positions that add up", Either, |f, a| {
            a.map(f);
            let mut parent = a.surface;
            for _ in 0..10 {
                let surface = a.new_surface();
                let subsurface = a.subsurface(surface, parent);
                a.send(Msg::new(subsurface, 1).is([i32::MAX, i32::MIN]));
                a.show(surface);
                parent = surface;
            }
            a.commit(a.surface);
        }),
        ("the parent goes first", Served, |_, a| {
            let parent = a.new_surface();
            a.subsurface(a.surface, parent);
            a.send(Msg::new(parent, 0));
            a.show(a.surface);
        }),
        ("chain of 30", Either, |f, a| chain(f, a, 30)),
        ("chain of 3,000", Either, |f, a| chain(f, a, 3_000)),
        ("3,000 side by side", Either, |f, a| {
            a.map(f);
            let (buffer, _) = a.buffer(4, 4);
            for _ in 0..3_000 {
                let surface = a.new_surface();
                a.subsurface(surface, a.surface);
                a.attach(surface, buffer);
                a.commit(surface);
            }
            a.commit(a.surface);
        }),
        ("a deep chain, then its top is destroyed", Either, |f, a| {
            chain(f, a, 1_000);
            a.send(Msg::new(a.surface, 0));
        }),
    ];
    sweep(cases);
}
