//! Typing is checked by a second keyboard state that plays the client.

use super::*;

const US: XkbConfig<'static> = XkbConfig {
    rules: "",
    model: "",
    layout: "us",
    variant: "",
    options: None,
};
const DE: XkbConfig<'static> = XkbConfig {
    rules: "",
    model: "",
    layout: "de",
    variant: "",
    options: None,
};

/// What a client with the same keymap reads out of the key events.
fn read(layout: &str, acts: &[KeyAct]) -> String {
    let context = xkb::Context::new(xkb::CONTEXT_NO_FLAGS);
    let keymap = xkb::Keymap::new_from_names(
        &context,
        "",
        "",
        layout,
        "",
        None,
        xkb::KEYMAP_COMPILE_NO_FLAGS,
    )
    .unwrap();
    let mut state = xkb::State::new(&keymap);
    let mut text = String::new();
    for act in acts {
        let key = Keycode::new(act.code + EVDEV_OFFSET);
        if act.pressed {
            text.push_str(&state.key_get_utf8(key));
        }
        state.update_key(
            key,
            if act.pressed {
                xkb::KeyDirection::Down
            } else {
                xkb::KeyDirection::Up
            },
        );
    }
    text
}

#[test]
fn typed_text_is_read_back() {
    let text: String = (' '..='~').collect();
    let acts = Typist::new(&US).unwrap().text(&text).unwrap();
    assert_eq!(read("us", &acts), text);

    let text = "Größe: {[@€]} ~\\|";
    let acts = Typist::new(&DE).unwrap().text(text).unwrap();
    assert_eq!(read("de", &acts), text);
}

#[test]
fn every_press_is_released() {
    let acts = Typist::new(&US).unwrap().text("aA!\n\t").unwrap();
    let mut down = Vec::new();
    for act in acts {
        if act.pressed {
            down.push(act.code);
        } else {
            assert_eq!(down.pop(), Some(act.code));
        }
    }
    assert!(down.is_empty(), "{down:?} never released");
}

#[test]
fn known_codes() {
    let us = Typist::new(&US).unwrap();
    let shift = 42;
    assert_eq!(us.text("a").unwrap(), press_and_release(&[30]));
    assert_eq!(us.text("A").unwrap(), press_and_release(&[shift, 30]));
    assert_eq!(us.text("\n").unwrap(), press_and_release(&[28]));
    assert_eq!(us.text("\t").unwrap(), press_and_release(&[15]));
    for (name, codes) in [
        ("a", vec![30]),
        ("30", vec![30]),
        ("1", vec![2]),
        ("Return", vec![28]),
        ("Escape", vec![1]),
        ("F5", vec![63]),
        ("ctrl+c", vec![29, 46]),
        ("ctrl+shift+Left", vec![29, shift, 105]),
        ("+", vec![13]),
    ] {
        assert_eq!(us.keys(name), Ok(codes), "{name}");
    }
}

#[test]
fn what_is_not_on_the_keyboard_is_refused() {
    let us = Typist::new(&US).unwrap();
    assert_eq!(us.text("aß"), Err(KeymapError::Character('ß')));
    for name in [
        "NoSuchKey",
        "0x1e",
        "768",
        "00",
        "",
        "ctrl+",
        "a\0b",
        "99999999999999",
    ] {
        assert!(us.keys(name).is_err(), "{name:?}");
    }
}
