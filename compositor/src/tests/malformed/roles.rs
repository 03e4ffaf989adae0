//! xdg-shell, the seat and the clipboard, used in every wrong order.

use super::{Attacker, Case, Either, Fixture, Killed, Served, sweep};
use crate::tests::wire::Msg;

/// One request with these numbers on the mapped toplevel's xdg_surface, and a buffer.
fn xdg(fixture: &mut Fixture, attacker: &mut Attacker, opcode: u16, numbers: [i32; 4]) {
    let window = attacker.map(fixture);
    attacker.send(Msg::new(window.xdg, opcode).is(numbers));
    attacker.show(attacker.surface);
}

/// `set_max_size` (7) or `set_min_size` (8) on the mapped toplevel, and a buffer.
fn limit(fixture: &mut Fixture, attacker: &mut Attacker, opcode: u16, size: [i32; 2]) {
    let window = attacker.map(fixture);
    attacker.send(Msg::new(window.toplevel, opcode).is(size));
    attacker.show(attacker.surface);
}

#[test]
fn toplevels() {
    let cases: &[Case] = &[
        ("window geometry of size 0", Either, |f, a| {
            xdg(f, a, 3, [0, 0, 0, 0])
        }),
        ("window geometry of negative size", Either, |f, a| {
            xdg(f, a, 3, [0, 0, -1, -1])
        }),
        ("largest window geometry", Either, |f, a| {
            xdg(f, a, 3, [0, 0, i32::MAX, i32::MAX])
        }),
        ("window geometry far away", Either, |f, a| {
            xdg(f, a, 3, [i32::MIN, i32::MAX, 10, 10])
        }),
        ("window geometry that overflows", Either, |f, a| {
            xdg(f, a, 3, [i32::MAX, i32::MAX, i32::MAX, i32::MAX])
        }),
        ("negative smallest size", Either, |f, a| {
            limit(f, a, 8, [-1, -1])
        }),
        ("negative largest size", Either, |f, a| {
            limit(f, a, 7, [i32::MIN, 5])
        }),
        ("largest smallest size", Either, |f, a| {
            limit(f, a, 8, [i32::MAX, i32::MAX])
        }),
        ("smallest size above largest", Either, |f, a| {
            let window = a.map(f);
            a.send(Msg::new(window.toplevel, 7).is([10, 10]));
            a.send(Msg::new(window.toplevel, 8).is([20, 20]));
            a.show(a.surface);
        }),
        ("buffer before the first configure", Either, |_, a| {
            a.role();
            a.show(a.surface);
        }),
        ("xdg_surface of a surface with a buffer", Either, |_, a| {
            a.show(a.surface);
            a.role();
        }),
        ("acknowledged twice", Either, |f, a| {
            let window = a.map(f);
            a.send(Msg::new(window.xdg, 4).u(u32::MAX));
        }),
        ("two xdg_surfaces for a surface", Either, |_, a| {
            a.xdg_surface(a.surface);
            a.xdg_surface(a.surface);
        }),
        ("two toplevels for an xdg_surface", Either, |_, a| {
            let window = a.role();
            a.raw.create(window.xdg, 1, |m| m);
        }),
        ("surface destroyed before its role", Either, |f, a| {
            a.map(f);
            a.send(Msg::new(a.surface, 0));
        }),
        (
            "xdg_surface destroyed before its toplevel",
            Killed,
            |f, a| {
                let window = a.map(f);
                a.send(Msg::new(window.xdg, 0));
            },
        ),
        (
            "xdg_wm_base destroyed before its surfaces",
            Killed,
            |f, a| {
                a.map(f);
                a.send(Msg::new(a.wm, 0));
            },
        ),
        ("commit of an xdg_surface without a role", Killed, |_, a| {
            let xdg = a.xdg_surface(a.surface);
            a.send(Msg::new(xdg, 3).is([0, 0, 5, 5]));
            a.show(a.surface);
        }),
        ("its own parent", Either, |f, a| {
            let window = a.map(f);
            a.send(Msg::new(window.toplevel, 1).u(window.toplevel));
            a.show(a.surface);
        }),
        (
            "maximised, fullscreen, minimised, over and over",
            Served,
            |f, a| {
                let window = a.map(f);
                for _ in 0..200 {
                    for opcode in [9, 10, 13] {
                        a.send(Msg::new(window.toplevel, opcode));
                    }
                    a.send(Msg::new(window.toplevel, 11).u(0));
                    a.send(Msg::new(window.toplevel, 12));
                }
            },
        ),
        ("move and resize without a click", Either, |f, a| {
            let window = a.map(f);
            a.send(Msg::new(window.toplevel, 5).u(a.seat).u(77));
            a.send(Msg::new(window.toplevel, 6).u(a.seat).u(77).u(5));
        }),
        ("resize at an edge that does not exist", Either, |f, a| {
            let window = a.map(f);
            a.send(Msg::new(window.toplevel, 6).u(a.seat).u(77).u(3));
        }),
        ("window menu far away", Either, |f, a| {
            let window = a.map(f);
            a.send(
                Msg::new(window.toplevel, 4)
                    .u(a.seat)
                    .u(1)
                    .is([i32::MIN, i32::MAX]),
            );
        }),
        ("pong to no ping", Either, |_, a| {
            a.send(Msg::new(a.wm, 3).u(4711))
        }),
    ];
    sweep(cases);
}

/// A popup of the mapped window.
fn popup(
    fixture: &mut Fixture,
    attacker: &mut Attacker,
    size: [i32; 2],
    anchor: [i32; 4],
    offset: [i32; 2],
) {
    let window = attacker.map(fixture);
    let positioner = attacker.positioner(size, anchor);
    attacker.send(Msg::new(positioner, 5).u(0x3f));
    attacker.send(Msg::new(positioner, 6).is(offset));
    attacker.popup(fixture, window.xdg, positioner);
}

#[test]
fn popups() {
    const MIN: i32 = i32::MIN;
    const MAX: i32 = i32::MAX;
    let cases: &[Case] = &[
        ("size 0", Killed, |f, a| {
            popup(f, a, [0, 0], [0, 0, 1, 1], [0, 0])
        }),
        ("negative size", Killed, |f, a| {
            popup(f, a, [-1, -1], [0, 0, 1, 1], [0, 0])
        }),
        ("negative anchor size", Killed, |f, a| {
            popup(f, a, [9, 9], [0, 0, -1, -1], [0, 0])
        }),
        ("largest size", Either, |f, a| {
            popup(f, a, [MAX, MAX], [0, 0, 1, 1], [0, 0])
        }),
        ("largest anchor", Either, |f, a| {
            popup(f, a, [9, 9], [MAX, MAX, MAX, MAX], [0, 0])
        }),
        ("least anchor", Either, |f, a| {
            popup(f, a, [9, 9], [MIN, MIN, MAX, MAX], [0, 0])
        }),
        ("extreme offset", Either, |f, a| {
            popup(f, a, [9, 9], [0, 0, 1, 1], [MIN, MAX])
        }),
        ("everything extreme", Either, |f, a| {
            popup(f, a, [MAX, MAX], [MAX, MIN, MAX, MAX], [MIN, MIN])
        }),
        ("anchor that does not exist", Either, |_, a| {
            let positioner = a.positioner([9, 9], [0, 0, 1, 1]);
            a.send(Msg::new(positioner, 3).u(99));
        }),
        ("gravity that does not exist", Either, |_, a| {
            let positioner = a.positioner([9, 9], [0, 0, 1, 1]);
            a.send(Msg::new(positioner, 4).u(u32::MAX));
        }),
        ("positioner without anything", Either, |f, a| {
            let window = a.map(f);
            let positioner = a.raw.create(a.wm, 1, |m| m);
            a.popup(f, window.xdg, positioner);
        }),
        ("popup without a parent", Either, |f, a| {
            a.map(f);
            let positioner = a.positioner([9, 9], [0, 0, 1, 1]);
            let surface = a.new_surface();
            let xdg = a.xdg_surface(surface);
            a.raw.create(xdg, 2, |m| m.u(0).u(positioner));
            a.commit(surface);
        }),
        ("popup of itself", Either, |_, a| {
            let positioner = a.positioner([9, 9], [0, 0, 1, 1]);
            let xdg = a.xdg_surface(a.surface);
            a.raw.create(xdg, 2, |m| m.u(xdg).u(positioner));
            a.commit(a.surface);
        }),
        ("grab with a made-up serial", Either, |f, a| {
            let window = a.map(f);
            let positioner = a.positioner([9, 9], [0, 0, 1, 1]);
            let popup = a.popup(f, window.xdg, positioner);
            a.send(Msg::new(popup, 1).u(a.seat).u(12_345));
        }),
        ("parent destroyed before its popup", Either, |f, a| {
            let window = a.map(f);
            let positioner = a.positioner([9, 9], [0, 0, 1, 1]);
            a.popup(f, window.xdg, positioner);
            a.send(Msg::new(window.toplevel, 0));
            a.send(Msg::new(window.xdg, 0));
            a.send(Msg::new(a.surface, 0));
        }),
        ("a tower of 500 popups", Either, |f, a| {
            let mut parent = a.map(f).xdg;
            let positioner = a.positioner([9, 9], [0, 0, 1, 1]);
            for _ in 0..500 {
                let surface = a.new_surface();
                let xdg = a.xdg_surface(surface);
                a.raw.create(xdg, 2, |m| m.u(parent).u(positioner));
                a.commit(surface);
                parent = xdg;
            }
        }),
        ("repositioned to everywhere", Either, |f, a| {
            let window = a.map(f);
            let positioner = a.positioner([9, 9], [0, 0, 1, 1]);
            let popup = a.popup(f, window.xdg, positioner);
            let far = a.positioner([MAX, MAX], [MIN, MAX, MAX, 0]);
            for token in 0..100 {
                a.send(Msg::new(popup, 2).u(far).u(token));
            }
        }),
    ];
    sweep(cases);
}

#[test]
fn seat_and_clipboard() {
    let cases: &[Case] = &[
        ("cursor of a toplevel's surface", Either, |f, a| {
            a.map(f);
            let pointer = a.raw.create(a.seat, 0, |m| m);
            a.send(
                Msg::new(pointer, 0)
                    .u(1)
                    .u(a.surface)
                    .is([i32::MIN, i32::MAX]),
            );
        }),
        ("1,000 keyboards", Either, |_, a| {
            for _ in 0..1_000 {
                a.raw.create(a.seat, 1, |m| m);
            }
        }),
        ("selection with a made-up serial", Either, |_, a| {
            let device = a.raw.create(a.data_manager, 1, |m| m.u(a.seat));
            let source = a.raw.create(a.data_manager, 0, |m| m);
            a.send(Msg::new(source, 0).string("text/plain"));
            a.send(Msg::new(device, 1).u(source).u(u32::MAX));
        }),
        ("drag with a made-up serial", Either, |f, a| {
            a.map(f);
            let device = a.raw.create(a.data_manager, 1, |m| m.u(a.seat));
            a.send(Msg::new(device, 0).u(0).u(a.surface).u(0).u(99));
        }),
        ("10,000 types of a selection", Either, |_, a| {
            let source = a.raw.create(a.data_manager, 0, |m| m);
            for n in 0..10_000 {
                a.send(Msg::new(source, 0).string(&format!("x/{n}")));
            }
        }),
        ("drag actions that do not exist", Either, |_, a| {
            let source = a.raw.create(a.data_manager, 0, |m| m);
            a.send(Msg::new(source, 2).u(u32::MAX));
        }),
    ];
    sweep(cases);
}
