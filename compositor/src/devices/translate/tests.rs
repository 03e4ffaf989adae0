use super::*;

const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
const EV_REL: u16 = 2;
const EV_ABS: u16 = 3;
const EV_MSC: u16 = 4;
const KEY_A: u16 = 30;
const KEY_LEFTSHIFT: u16 = 42;
const BTN_LEFT: u16 = 0x110;
const BTN_RIGHT: u16 = 0x111;
const BTN_TOUCH: u16 = 0x14a;
const REPORT: (u16, u16, i32) = (EV_SYN, 0, 0);
const DROPPED: (u16, u16, i32) = (EV_SYN, 3, 0);

/// What QEMU's tablet ranges over.
const TABLET: Abilities = Abilities {
    places: Some((Range { min: 0, max: 32767 }, Range { min: 0, max: 32767 })),
    touch: false,
    fine_wheel: false,
    fine_sideways: false,
};

fn translator(abilities: Abilities) -> Translator {
    Translator::new(abilities, &State::default())
}

/// Feeds events of which none may be lost.
fn feed(translator: &mut Translator, events: &[(u16, u16, i32)]) -> Vec<Act> {
    let mut acts = Vec::new();
    for (kind, code, value) in events {
        let lost = translator.feed(*kind, *code, *value, &mut acts);
        assert!(!lost, "asks for the state after {kind} {code} {value}");
    }
    acts
}

fn key(code: u16, pressed: bool) -> Act {
    Act::Key { code, pressed }
}

fn button(code: u16, pressed: bool) -> Act {
    Act::Button { code, pressed }
}

#[test]
fn a_key_goes_down_once_and_up_once_however_long_it_is_held() {
    let mut keyboard = translator(Abilities::default());
    let events = [
        (EV_MSC, 4, 0x1e),
        (EV_KEY, KEY_A, 1),
        REPORT,
        (EV_KEY, KEY_A, 2),
        REPORT,
        (EV_KEY, KEY_A, 2),
        REPORT,
        (EV_KEY, KEY_A, 0),
        REPORT,
    ];
    let acts = feed(&mut keyboard, &events);
    assert_eq!(acts, [key(KEY_A, true), key(KEY_A, false)]);
}

#[test]
fn nothing_happens_before_the_frame_is_complete() {
    let mut keyboard = translator(Abilities::default());
    assert_eq!(feed(&mut keyboard, &[(EV_KEY, KEY_A, 1)]), []);
    assert_eq!(feed(&mut keyboard, &[REPORT]), [key(KEY_A, true)]);
}

#[test]
fn a_key_held_before_our_time_is_neither_pressed_nor_released() {
    let state = State {
        down: BTreeSet::from([KEY_A]),
        place: (0, 0),
    };
    let mut keyboard = Translator::new(Abilities::default(), &state);
    assert_eq!(feed(&mut keyboard, &[(EV_KEY, KEY_A, 0), REPORT]), []);
}

#[test]
fn the_pointer_is_moved_before_its_button_is_pressed() {
    let mut tablet = translator(TABLET);
    let events = [
        (EV_KEY, BTN_LEFT, 1),
        (EV_ABS, 0, 16384),
        (EV_ABS, 1, 8192),
        REPORT,
    ];
    let acts = feed(&mut tablet, &events);
    assert_eq!(acts, [Act::To { x: 0.5, y: 0.25 }, button(BTN_LEFT, true)]);
}

#[test]
fn an_axis_that_is_not_told_has_not_moved() {
    let state = State {
        down: BTreeSet::new(),
        place: (16384, 8192),
    };
    let mut tablet = Translator::new(TABLET, &state);
    let acts = feed(&mut tablet, &[(EV_ABS, 0, 0), REPORT]);
    assert_eq!(acts, [Act::To { x: 0.0, y: 0.25 }]);
}

#[test]
fn places_never_leave_the_screen() {
    let mut tablet = translator(TABLET);
    for (value, fraction) in [(i32::MIN, 0.0), (i32::MAX, 32767.0 / 32768.0)] {
        let acts = feed(&mut tablet, &[(EV_ABS, 0, value), REPORT]);
        assert_eq!(
            acts,
            [Act::To {
                x: fraction,
                y: 0.0
            }]
        );
    }
    assert_eq!(Range::new(5, 5), None);
    assert_eq!(Range::new(5, 4), None);
    let widest = Range::new(i32::MIN, i32::MAX).unwrap();
    assert!((widest.fraction(0) - 0.5).abs() < 1e-9);
    assert!(widest.fraction(i32::MAX) < 1.0);
}

#[test]
fn a_device_without_places_has_none() {
    let mut joystick = translator(Abilities::default());
    assert_eq!(feed(&mut joystick, &[(EV_ABS, 0, 5), REPORT]), []);
}

#[test]
fn a_mouse_moves_by_what_a_frame_holds_together() {
    let mut mouse = translator(Abilities::default());
    let events = [
        (EV_REL, 0, 3),
        (EV_REL, 1, -2),
        (EV_REL, 0, 4),
        REPORT,
        REPORT,
        (EV_REL, 0, i32::MAX),
        (EV_REL, 0, i32::MAX),
        REPORT,
    ];
    let acts = feed(&mut mouse, &events);
    assert_eq!(
        acts,
        [Act::By { x: 7, y: -2 }, Act::By { x: i32::MAX, y: 0 }]
    );
}

#[test]
fn a_wheel_counts_upwards_and_to_the_right() {
    let mut mouse = translator(Abilities::default());
    let wheel = |horizontal, vertical| Act::Wheel {
        horizontal,
        vertical,
    };
    let acts = feed(
        &mut mouse,
        &[(EV_REL, 8, 1), REPORT, (EV_REL, 6, 2), REPORT],
    );
    assert_eq!(acts, [wheel(0, -120), wheel(240, 0)]);
    let acts = feed(&mut mouse, &[(EV_REL, 8, i32::MIN), REPORT]);
    assert_eq!(acts, [wheel(0, i32::MAX)]);
}

#[test]
fn a_fine_wheel_is_not_counted_twice() {
    let mut mouse = translator(Abilities {
        fine_wheel: true,
        ..Abilities::default()
    });
    let events = [
        (EV_REL, 11, 40),
        REPORT,
        (EV_REL, 8, 1),
        (EV_REL, 11, 80),
        REPORT,
    ];
    let acts = feed(&mut mouse, &events);
    let wheel = |vertical| Act::Wheel {
        horizontal: 0,
        vertical,
    };
    assert_eq!(acts, [wheel(-40), wheel(-80)]);
}

#[test]
fn touching_is_the_left_button_only_where_there_is_no_other() {
    let mut screen = translator(Abilities {
        touch: true,
        ..TABLET
    });
    let events = [
        (EV_KEY, BTN_TOUCH, 1),
        REPORT,
        (EV_KEY, BTN_TOUCH, 0),
        REPORT,
    ];
    let acts = feed(&mut screen, &events);
    assert_eq!(acts, [button(BTN_LEFT, true), button(BTN_LEFT, false)]);
    assert_eq!(feed(&mut translator(TABLET), &events), []);
}

#[test]
fn what_is_neither_key_nor_button_does_nothing() {
    let mut device = translator(Abilities::default());
    // Joystick trigger, pen, gamepad, extra joystick buttons, and 0.
    for code in [0x120, 0x140, 0x130, 0x2c0, 0, u16::MAX] {
        assert_eq!(
            feed(&mut device, &[(EV_KEY, code, 1), REPORT]),
            [],
            "{code:#x}"
        );
    }
    for code in [KEY_A, 0xff, 0x160, 0x2bf] {
        let acts = feed(&mut device, &[(EV_KEY, code, 1), REPORT]);
        assert_eq!(acts, [key(code, true)], "{code:#x}");
    }
    for code in [BTN_LEFT, BTN_RIGHT, 0x117] {
        let acts = feed(&mut device, &[(EV_KEY, code, 1), REPORT]);
        assert_eq!(acts, [button(code, true)], "{code:#x}");
    }
}

#[test]
fn after_lost_events_the_devices_word_counts() {
    let mut keyboard = translator(TABLET);
    feed(
        &mut keyboard,
        &[(EV_KEY, KEY_A, 1), (EV_KEY, BTN_LEFT, 1), REPORT],
    );
    // The frame that was cut means nothing, nor does what follows up to its end.
    let cut = [(EV_KEY, KEY_A, 0), DROPPED, (EV_KEY, BTN_RIGHT, 1)];
    assert_eq!(feed(&mut keyboard, &cut), []);
    let mut acts = Vec::new();
    assert!(keyboard.feed(EV_SYN, 0, 0, &mut acts));
    let state = State {
        down: BTreeSet::from([KEY_A, KEY_LEFTSHIFT]),
        place: (16384, 0),
    };
    keyboard.resync(&state, &mut acts);
    let expected = [
        Act::To { x: 0.5, y: 0.0 },
        button(BTN_LEFT, false),
        key(KEY_LEFTSHIFT, true),
    ];
    assert_eq!(acts, expected);
    let acts = feed(&mut keyboard, &[(EV_KEY, KEY_A, 0), REPORT]);
    assert_eq!(acts, [key(KEY_A, false)], "works as before");
}

#[test]
fn a_device_that_vanishes_lets_go() {
    let mut device = translator(TABLET);
    feed(
        &mut device,
        &[(EV_ABS, 0, 99), (EV_KEY, BTN_LEFT, 1), REPORT],
    );
    feed(&mut device, &[(EV_KEY, KEY_A, 1), REPORT]);
    feed(&mut device, &[(EV_KEY, KEY_LEFTSHIFT, 1)]);
    let mut acts = Vec::new();
    device.release_all(&mut acts);
    assert_eq!(acts, [key(KEY_A, false), button(BTN_LEFT, false)]);
    acts.clear();
    device.release_all(&mut acts);
    assert_eq!(acts, []);
}

#[test]
fn a_frame_without_end_stays_small() {
    let mut device = translator(Abilities::default());
    for code in 1..0x2ff {
        assert_eq!(feed(&mut device, &[(EV_KEY, code, 1)]), []);
    }
    assert_eq!(device.frame.keys.len(), MAX_KEYS);
}
