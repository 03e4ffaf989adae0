//! Keys, buttons and the pointer: to the right VM, and to no other.

use wayland_client::protocol::{wl_keyboard, wl_pointer};
use wayland_client::{Proxy, WEnum};

use super::fixture::{ClientId, Fixture};
use crate::input::InputEvent;

const KEY_A: u32 = 30;
const KEY_LEFTSHIFT: u32 = 42;
const KEY_CAPSLOCK: u32 = 58;

/// Two VMs with a window each; `b` was mapped last and has the keyboard.
fn two() -> (Fixture, ClientId, ClientId) {
    let mut fixture = Fixture::new(&["personal", "work"]);
    let a = fixture.connect("personal");
    fixture.window(a, "a", (300, 200), 1);
    let b = fixture.connect("work");
    fixture.window(b, "b", (300, 200), 2);
    (fixture, a, b)
}

impl Fixture {
    fn press_and_release(&mut self, code: u32) {
        self.key(code, true);
        self.key(code, false);
    }

    /// Lets everything sent so far arrive, then forgets it.
    fn forget_input(&mut self, ids: &[ClientId]) {
        for &id in ids {
            self.roundtrip(id);
            let state = &mut self.client(id).state;
            state.keyboard.clear();
            state.pointer.clear();
        }
    }

    /// Key events a client got: code and whether down.
    fn keys(&mut self, id: ClientId) -> Vec<(u32, bool)> {
        self.roundtrip(id);
        let events = &self.client(id).state.keyboard;
        let keys = events.iter().filter_map(|event| match event {
            wl_keyboard::Event::Key { key, state, .. } => {
                Some((*key, *state == WEnum::Value(wl_keyboard::KeyState::Pressed)))
            }
            _ => None,
        });
        keys.collect()
    }

    /// Keys that a client was told are down when it got the keyboard last.
    fn entered_with(&mut self, id: ClientId) -> Option<Vec<u32>> {
        self.roundtrip(id);
        let events = &self.client(id).state.keyboard;
        events.iter().rev().find_map(|event| match event {
            wl_keyboard::Event::Enter { keys, .. } => Some(
                keys.chunks_exact(4)
                    .map(|key| u32::from_ne_bytes(key.try_into().unwrap()))
                    .collect(),
            ),
            _ => None,
        })
    }

    /// Modifiers a client was told last: depressed and locked.
    fn modifiers(&mut self, id: ClientId) -> Option<(u32, u32)> {
        self.roundtrip(id);
        let events = &self.client(id).state.keyboard;
        events.iter().rev().find_map(|event| match event {
            wl_keyboard::Event::Modifiers {
                mods_depressed,
                mods_locked,
                ..
            } => Some((*mods_depressed, *mods_locked)),
            _ => None,
        })
    }

    /// Serials of everything a client heard from its seat, in order of arrival
    /// per device.
    fn serials(&mut self, id: ClientId) -> Vec<u32> {
        self.roundtrip(id);
        let state = &self.client(id).state;
        let keyboard = state.keyboard.iter().filter_map(|event| match event {
            wl_keyboard::Event::Enter { serial, .. }
            | wl_keyboard::Event::Leave { serial, .. }
            | wl_keyboard::Event::Key { serial, .. }
            | wl_keyboard::Event::Modifiers { serial, .. } => Some(*serial),
            _ => None,
        });
        let pointer = state.pointer.iter().filter_map(|event| match event {
            wl_pointer::Event::Enter { serial, .. }
            | wl_pointer::Event::Leave { serial, .. }
            | wl_pointer::Event::Button { serial, .. } => Some(*serial),
            _ => None,
        });
        keyboard.chain(pointer).collect()
    }
}

#[test]
fn keys_go_to_the_focused_vm_only() {
    let (mut fixture, a, b) = two();
    fixture.focus("a");
    fixture.forget_input(&[a, b]);
    fixture.press_and_release(KEY_A);
    assert_eq!(fixture.keys(a), [(KEY_A, true), (KEY_A, false)]);
    assert_eq!(fixture.keys(b), []);
    fixture.focus("b");
    fixture.forget_input(&[a, b]);
    fixture.press_and_release(KEY_A);
    assert_eq!(fixture.keys(a), []);
    assert_eq!(fixture.keys(b), [(KEY_A, true), (KEY_A, false)]);
}

#[test]
fn a_client_hears_of_no_key_pressed_elsewhere() {
    let (mut fixture, _, b) = two();
    fixture.focus("a");
    fixture.forget_input(&[b]);
    for _ in 0..20 {
        fixture.press_and_release(KEY_A);
        fixture.press_and_release(KEY_LEFTSHIFT);
    }
    fixture.roundtrip(b);
    let heard = &fixture.client(b).state.keyboard;
    assert!(heard.is_empty(), "{heard:?}");
}

#[test]
fn modifiers_follow_the_focus() {
    let (mut fixture, a, b) = two();
    fixture.focus("a");
    fixture.key(KEY_LEFTSHIFT, true);
    fixture.forget_input(&[a, b]);
    fixture.focus("b");
    assert_eq!(
        fixture.entered_with(b),
        Some(vec![]),
        "another VM's key is held here"
    );
    assert_eq!(
        fixture.modifiers(b),
        Some((1, 0)),
        "shift is held, whoever saw it go down"
    );
    fixture.key(KEY_LEFTSHIFT, false);
    assert_eq!(fixture.modifiers(b), Some((0, 0)));
    fixture.press_and_release(KEY_CAPSLOCK);
    assert_eq!(fixture.modifiers(b), Some((0, 2)));
    fixture.focus("a");
    assert_eq!(
        fixture.modifiers(a),
        Some((0, 2)),
        "Caps Lock is one lamp for all"
    );
}

#[test]
fn no_key_sticks_when_the_focus_moves_on() {
    let (mut fixture, a, b) = two();
    fixture.focus("a");
    fixture.key(KEY_LEFTSHIFT, true);
    fixture.key(KEY_A, true);
    fixture.focus("b");
    fixture.key(KEY_A, false);
    fixture.key(KEY_LEFTSHIFT, false);
    fixture.forget_input(&[a, b]);
    fixture.focus("a");
    assert_eq!(fixture.entered_with(a), Some(vec![]));
    assert_eq!(fixture.modifiers(a), Some((0, 0)));
}

#[test]
fn a_key_released_elsewhere_was_never_pressed_there() {
    let (mut fixture, a, b) = two();
    fixture.focus("a");
    fixture.key(KEY_A, true);
    fixture.focus("b");
    fixture.forget_input(&[a, b]);
    fixture.key(KEY_A, false);
    assert_eq!(fixture.keys(b), [], "a release without its press");
}

#[test]
fn serials_do_not_tell_of_input_elsewhere() {
    let (mut fixture, _, b) = two();
    // Focus to b and back to a, with nothing and then with much typed in a.
    let gap = |fixture: &mut Fixture, strokes: u32| {
        fixture.focus("b");
        let before = fixture.serials(b).into_iter().max().unwrap();
        fixture.focus("a");
        fixture.forget_input(&[b]);
        for _ in 0..strokes {
            fixture.press_and_release(KEY_A);
        }
        fixture.focus("b");
        fixture.serials(b).into_iter().min().unwrap() - before
    };
    let quiet = gap(&mut fixture, 0);
    let busy = gap(&mut fixture, 50);
    assert_eq!(quiet, busy, "b can count the keys typed in a");
}

#[test]
fn every_client_has_a_keymap_of_its_own() {
    use std::os::unix::fs::MetadataExt;
    let (mut fixture, a, b) = two();
    let mut inode = |id: ClientId| {
        let events = std::mem::take(&mut fixture.client(id).state.keyboard);
        let fd = events.into_iter().find_map(|event| match event {
            wl_keyboard::Event::Keymap { fd, size, .. } => Some((fd, size)),
            _ => None,
        });
        let (fd, size) = fd.expect("a keymap");
        let meta = std::fs::File::from(fd).metadata().unwrap();
        assert!(meta.size() >= u64::from(size) && size > 1000);
        (meta.dev(), meta.ino())
    };
    assert_ne!(inode(a), inode(b), "two VMs share memory");
}

#[test]
fn the_pointer_enters_one_window_only() {
    let (mut fixture, a, b) = two();
    let over = |fixture: &Fixture, title: &str| {
        let content = fixture.find(title).unwrap().content;
        (content.x + 10, content.y + 10)
    };
    let (x, y) = over(&fixture, "a");
    fixture.click(x, y);
    fixture.forget_input(&[a, b]);
    let (x, y) = over(&fixture, "b");
    fixture.move_to(x, y);
    for id in [a, b] {
        fixture.roundtrip(id);
    }
    let left = |event: &wl_pointer::Event| matches!(event, wl_pointer::Event::Leave { .. });
    let entered = |event: &wl_pointer::Event| matches!(event, wl_pointer::Event::Enter { surface_x, surface_y, .. } if (*surface_x, *surface_y) == (10.0, 10.0));
    assert!(fixture.client(a).state.pointer.iter().any(left));
    assert!(!fixture.client(a).state.pointer.iter().any(entered));
    assert!(fixture.client(b).state.pointer.iter().any(entered));
}

#[test]
fn frames_swallow_the_pointer() {
    let (mut fixture, a, b) = two();
    let info = fixture.find("b").unwrap();
    fixture.move_to(info.content.x + 5, info.content.y + 5);
    fixture.forget_input(&[a, b]);
    fixture.click(info.frame.x + 3, info.frame.y + 3);
    for id in [a, b] {
        fixture.roundtrip(id);
        let heard = &fixture.client(id).state.pointer;
        let told = heard.iter().any(|event| {
            matches!(
                event,
                wl_pointer::Event::Button { .. } | wl_pointer::Event::Enter { .. }
            )
        });
        assert!(!told, "a client heard of a click on a frame: {heard:?}");
    }
}

#[test]
fn a_press_keeps_the_pointer_until_its_release() {
    let (mut fixture, a, b) = two();
    let from = fixture.find("a").unwrap().content;
    let to = fixture.find("b").unwrap().content;
    fixture.move_to(from.x + 20, from.y + 20);
    fixture.input(InputEvent::Button {
        code: 0x110,
        pressed: true,
    });
    fixture.forget_input(&[a, b]);
    fixture.move_to(to.x + 30, to.y + 40);
    fixture.roundtrip(b);
    assert!(fixture.client(b).state.pointer.is_empty());
    fixture.roundtrip(a);
    let (dx, dy) = (f64::from(to.x + 30 - from.x), f64::from(to.y + 40 - from.y));
    let followed = fixture.client(a).state.pointer.iter().any(|event| {
        matches!(event, wl_pointer::Event::Motion { surface_x, surface_y, .. } if (*surface_x, *surface_y) == (dx, dy))
    });
    assert!(followed, "{:?}", fixture.client(a).state.pointer);
    fixture.input(InputEvent::Button {
        code: 0x110,
        pressed: false,
    });
    fixture.roundtrip(b);
    let entered = fixture
        .client(b)
        .state
        .pointer
        .iter()
        .any(|event| matches!(event, wl_pointer::Event::Enter { .. }));
    assert!(entered, "the pointer is not over b after the release");
}

#[test]
fn focus_is_told_to_both_sides() {
    let (mut fixture, a, b) = two();
    for (to, from, title) in [(a, b, "a"), (b, a, "b")] {
        fixture.forget_input(&[a, b]);
        fixture.focus(title);
        assert!(fixture.entered_with(to).is_some());
        fixture.roundtrip(from);
        let heard = &fixture.client(from).state.keyboard;
        assert!(
            heard
                .iter()
                .any(|event| matches!(event, wl_keyboard::Event::Leave { .. })),
            "{heard:?}"
        );
    }
}

#[test]
fn a_client_that_dies_with_the_focus_leaves_no_trace() {
    let (mut fixture, a, b) = two();
    fixture.focus("a");
    fixture.key(KEY_LEFTSHIFT, true);
    fixture.input(InputEvent::Button {
        code: 0x110,
        pressed: true,
    });
    fixture.disconnect(a);
    fixture.until("its window is gone", |fixture| {
        fixture.find("a").is_none().then_some(())
    });
    fixture.input(InputEvent::Button {
        code: 0x110,
        pressed: false,
    });
    fixture.key(KEY_LEFTSHIFT, false);
    fixture.focus("b");
    fixture.forget_input(&[b]);
    fixture.press_and_release(KEY_A);
    assert_eq!(fixture.keys(b), [(KEY_A, true), (KEY_A, false)]);
    assert!(fixture.client(b).bound().keyboard.is_alive());
}
