//! From what a device reports to what the user did.
//!
//! A device reports in frames: any number of events, ended by `SYN_REPORT`. What
//! one frame holds happened at once, so the pointer is moved before its buttons
//! are. Nothing here reads a device: events go in, acts come out.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use evdev::{AbsoluteAxisCode, EventType, KeyCode, RelativeAxisCode, SynchronizationCode};

/// Parts of a notch of a wheel.
const NOTCH: i32 = 120;

/// Keys and buttons kept from one frame. More in one frame come from no hands.
const MAX_KEYS: usize = 64;

/// One act of the user on one device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Act {
    /// A key, by its Linux input event code.
    Key { code: u16, pressed: bool },
    /// A pointer button, by its Linux input event code.
    Button { code: u16, pressed: bool },
    /// The pointer is here: fractions of the screen's width and height, 0 to below 1.
    To { x: f64, y: f64 },
    /// The pointer went so many pixels right and down.
    By { x: i32, y: i32 },
    /// The wheel turned right and down, in 1/120 of a notch.
    Wheel { horizontal: i32, vertical: i32 },
}

/// What a device can do, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Abilities {
    /// It has places on the screen: what they range from and to.
    pub(super) places: Option<(Range, Range)>,
    /// Touching it is pressing the left button: it has none.
    pub(super) touch: bool,
    /// Its wheel tells parts of notches as well.
    pub(super) fine_wheel: bool,
    /// The same, sideways.
    pub(super) fine_sideways: bool,
}

/// Values of an absolute axis, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    min: i32,
    max: i32,
}

impl Range {
    /// `None` if there are not at least two values.
    pub(super) fn new(min: i32, max: i32) -> Option<Self> {
        (min < max).then_some(Self { min, max })
    }

    /// The value's place in the range, 0 to below 1.
    fn fraction(self, value: i32) -> f64 {
        let value = value.clamp(self.min, self.max);
        let (from, steps) = (
            f64::from(self.min),
            f64::from(self.max) - f64::from(self.min) + 1.0,
        );
        (f64::from(value) - from) / steps
    }
}

/// What a device says about itself when asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct State {
    /// Keys and buttons that are down.
    pub(super) down: BTreeSet<u16>,
    /// Values of the two absolute axes.
    pub(super) place: (i32, i32),
}

/// State of one device's reports.
#[derive(Debug)]
pub(super) struct Translator {
    abilities: Abilities,
    /// Keys and buttons whose press was told.
    down: BTreeSet<u16>,
    place: (i32, i32),
    frame: Frame,
    /// The kernel lost events: the rest of this frame means nothing.
    skipping: bool,
}

/// What came since the last `SYN_REPORT`.
#[derive(Debug, Default)]
struct Frame {
    keys: Vec<(u16, bool)>,
    moved: bool,
    by: (i32, i32),
    wheel: (i32, i32),
}

impl Translator {
    /// A device in this state; keys that are down already are not pressed: their
    /// press was not meant for us.
    pub(super) fn new(abilities: Abilities, state: &State) -> Self {
        Self {
            abilities,
            down: BTreeSet::new(),
            place: state.place,
            frame: Frame::default(),
            skipping: false,
        }
    }

    /// Takes one event. True if the device must be asked for its state, for
    /// [`Self::resync`], because events were lost.
    pub(super) fn feed(&mut self, kind: u16, code: u16, value: i32, out: &mut Vec<Act>) -> bool {
        match EventType(kind) {
            EventType::SYNCHRONIZATION => return self.sync(code, out),
            _ if self.skipping => {}
            // 2 is autorepeat; clients repeat by themselves.
            EventType::KEY if value == 0 || value == 1 => self.frame.key(code, value == 1),
            EventType::RELATIVE => self.relative(code, value),
            EventType::ABSOLUTE if self.abilities.places.is_some() => {
                match AbsoluteAxisCode(code) {
                    AbsoluteAxisCode::ABS_X => self.place_at((value, self.place.1)),
                    AbsoluteAxisCode::ABS_Y => self.place_at((self.place.0, value)),
                    _ => {}
                }
            }
            _ => {}
        }
        false
    }

    /// Makes up for lost events with what the device says now.
    pub(super) fn resync(&mut self, state: &State, out: &mut Vec<Act>) {
        self.frame = Frame::default();
        let released: Vec<u16> = self.down.difference(&state.down).copied().collect();
        let pressed: Vec<u16> = state.down.difference(&self.down).copied().collect();
        self.frame
            .keys
            .extend(released.into_iter().map(|code| (code, false)));
        self.frame
            .keys
            .extend(pressed.into_iter().map(|code| (code, true)));
        if self.abilities.places.is_some() && state.place != self.place {
            self.place_at(state.place);
        }
        self.finish(out);
    }

    /// Releases all that is held: the device is gone.
    pub(super) fn release_all(&mut self, out: &mut Vec<Act>) {
        let state = State {
            down: BTreeSet::new(),
            place: self.place,
        };
        self.resync(&state, out);
    }

    fn sync(&mut self, code: u16, out: &mut Vec<Act>) -> bool {
        match SynchronizationCode(code) {
            SynchronizationCode::SYN_DROPPED => {
                self.skipping = true;
                false
            }
            SynchronizationCode::SYN_REPORT if self.skipping => {
                self.skipping = false;
                true
            }
            SynchronizationCode::SYN_REPORT => {
                self.finish(out);
                false
            }
            _ => false,
        }
    }

    fn relative(&mut self, code: u16, value: i32) {
        let notches = value.saturating_mul(NOTCH);
        let Frame { by, wheel, .. } = &mut self.frame;
        let (fine, sideways) = (self.abilities.fine_wheel, self.abilities.fine_sideways);
        let (sum, value) = match RelativeAxisCode(code) {
            RelativeAxisCode::REL_X => (&mut by.0, value),
            RelativeAxisCode::REL_Y => (&mut by.1, value),
            // Wheels count upwards.
            RelativeAxisCode::REL_WHEEL if !fine => (&mut wheel.1, notches.saturating_neg()),
            RelativeAxisCode::REL_WHEEL_HI_RES if fine => (&mut wheel.1, value.saturating_neg()),
            RelativeAxisCode::REL_HWHEEL if !sideways => (&mut wheel.0, notches),
            RelativeAxisCode::REL_HWHEEL_HI_RES if sideways => (&mut wheel.0, value),
            _ => return,
        };
        *sum = sum.saturating_add(value);
    }

    fn place_at(&mut self, place: (i32, i32)) {
        self.place = place;
        self.frame.moved = true;
    }

    fn finish(&mut self, out: &mut Vec<Act>) {
        let frame = std::mem::take(&mut self.frame);
        if let Some((x, y)) = self.abilities.places.filter(|_| frame.moved) {
            out.push(Act::To {
                x: x.fraction(self.place.0),
                y: y.fraction(self.place.1),
            });
        }
        if frame.by != (0, 0) {
            let (x, y) = frame.by;
            out.push(Act::By { x, y });
        }
        for (code, pressed) in frame.keys {
            let changes = match pressed {
                true => self.down.insert(code),
                // Its press was before our time, or lost.
                false => self.down.remove(&code),
            };
            if changes {
                out.extend(self.act(code, pressed));
            }
        }
        if frame.wheel != (0, 0) {
            let (horizontal, vertical) = frame.wheel;
            out.push(Act::Wheel {
                horizontal,
                vertical,
            });
        }
    }

    fn act(&self, code: u16, pressed: bool) -> Option<Act> {
        if KeyCode(code) == KeyCode::BTN_TOUCH && self.abilities.touch {
            let code = KeyCode::BTN_LEFT.0;
            return Some(Act::Button { code, pressed });
        }
        match kind(KeyCode(code))? {
            Kind::Key => Some(Act::Key { code, pressed }),
            Kind::Button => Some(Act::Button { code, pressed }),
        }
    }
}

impl Frame {
    fn key(&mut self, code: u16, pressed: bool) {
        if self.keys.len() < MAX_KEYS {
            self.keys.push((code, pressed));
        }
    }
}

/// What a key code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A key of a keyboard.
    Key,
    /// A button of a mouse.
    Button,
}

/// `None` for what is neither: joysticks, tools of a tablet, …
pub(super) fn kind(code: KeyCode) -> Option<Kind> {
    match code.0 {
        _ if (KeyCode::BTN_LEFT..=KeyCode::BTN_TASK).contains(&code) => Some(Kind::Button),
        0 => None,
        _ if code < KeyCode::BTN_0 => Some(Kind::Key),
        _ if (KeyCode::KEY_OK..KeyCode::BTN_TRIGGER_HAPPY1).contains(&code) => Some(Kind::Key),
        _ => None,
    }
}
