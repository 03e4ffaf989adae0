//! One input device: reading it and asking it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use evdev::raw_stream::RawDevice;
use evdev::{AbsoluteAxisCode, AttributeSetRef, KeyCode, PropType, RelativeAxisCode};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::translate::{Abilities, Act, Kind, Range, State, Translator, kind};

/// A keyboard, mouse, tablet or touch screen.
#[derive(Debug)]
pub(super) struct Device {
    raw: RawDevice,
    translator: Translator,
}

impl Device {
    /// Takes a device. `None` if it has nothing to do with the user's hands.
    ///
    /// # Errors
    /// If it is no evdev device, or it fails.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Option<Self>> {
        let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
        fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        let mut raw = RawDevice::from_fd(fd)?;
        let keys = Keys::of(&raw);
        let places = if keys.points && !is_touchpad(&raw) {
            places(&raw)?
        } else {
            None
        };
        let axes = raw.supported_relative_axes();
        let turns = |axis| axes.is_some_and(|axes: &AttributeSetRef<_>| axes.contains(axis));
        let is_pointer = places.is_some() || turns(RelativeAxisCode::REL_X);
        let has_wheel = turns(RelativeAxisCode::REL_WHEEL) || turns(RelativeAxisCode::REL_HWHEEL);
        if !(is_pointer || has_wheel || keys.any) {
            return Ok(None);
        }
        let abilities = Abilities {
            places,
            touch: places.is_some() && !keys.buttons,
            fine_wheel: turns(RelativeAxisCode::REL_WHEEL_HI_RES),
            fine_sideways: turns(RelativeAxisCode::REL_HWHEEL_HI_RES),
        };
        // What the user types is for the windows, not for the machine's console,
        // where Ctrl+Alt+Del would restart it. A power button stays everybody's.
        if (is_pointer || keys.types)
            && let Err(error) = raw.grab()
        {
            tracing::warn!(device = raw.name(), %error, "others may see what this device does");
        }
        let translator = Translator::new(abilities, &state(&raw)?);
        Ok(Some(Self { raw, translator }))
    }

    /// What the device calls itself.
    pub(super) fn name(&self) -> &str {
        self.raw.name().unwrap_or("(no name)")
    }

    /// Reads what waits, a bounded part of it at a time.
    ///
    /// # Errors
    /// `ENODEV` when the device is gone; otherwise what read(2) says.
    pub(super) fn read(&mut self, out: &mut Vec<Act>) -> io::Result<()> {
        let events = match self.raw.fetch_events() {
            Ok(events) => events.collect::<Vec<_>>(),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => return Ok(()),
                _ => return Err(error),
            },
        };
        for event in events {
            let (kind, code) = (event.event_type().0, event.code());
            if self.translator.feed(kind, code, event.value(), out) {
                tracing::debug!(device = self.name(), "events were lost");
                self.translator.resync(&state(&self.raw)?, out);
            }
        }
        Ok(())
    }

    /// Lets go of all that is held.
    pub(super) fn release_all(&mut self, out: &mut Vec<Act>) {
        self.translator.release_all(out);
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.raw.as_fd()
    }
}

/// What keys a device has.
struct Keys {
    /// Any that are of use.
    any: bool,
    /// Those of a keyboard to type on.
    types: bool,
    /// Buttons of a mouse.
    buttons: bool,
    /// Something that tells a pointing device from a joystick.
    points: bool,
}

impl Keys {
    fn of(raw: &RawDevice) -> Self {
        let Some(keys) = raw.supported_keys() else {
            return Self {
                any: false,
                types: false,
                buttons: false,
                points: false,
            };
        };
        let buttons = keys.contains(KeyCode::BTN_LEFT);
        Self {
            any: keys.iter().any(|key| kind(key).is_some()),
            types: keys.contains(KeyCode::KEY_ENTER) || keys.contains(KeyCode::KEY_A),
            buttons: keys.iter().any(|key| kind(key) == Some(Kind::Button)),
            points: buttons || keys.contains(KeyCode::BTN_TOUCH),
        }
    }
}

/// Touchpads tell places too, but not places on the screen.
fn is_touchpad(raw: &RawDevice) -> bool {
    let pad = raw.properties().contains(PropType::POINTER);
    if pad {
        tracing::warn!(device = raw.name(), "touchpads do not move the pointer");
    }
    pad
}

/// The ranges of both axes, if it has both and they make sense.
fn places(raw: &RawDevice) -> io::Result<Option<(Range, Range)>> {
    let has = |axis| {
        raw.supported_absolute_axes()
            .is_some_and(|axes| axes.contains(axis))
    };
    if !has(AbsoluteAxisCode::ABS_X) || !has(AbsoluteAxisCode::ABS_Y) {
        return Ok(None);
    }
    let axes = raw.get_abs_state()?;
    let range = |axis: AbsoluteAxisCode| {
        let info = axes.get(usize::from(axis.0))?;
        Range::new(info.minimum, info.maximum)
    };
    let both = range(AbsoluteAxisCode::ABS_X).zip(range(AbsoluteAxisCode::ABS_Y));
    Ok(both)
}

fn state(raw: &RawDevice) -> io::Result<State> {
    let axes = raw.get_abs_state()?;
    let value = |axis: AbsoluteAxisCode| axes.get(usize::from(axis.0)).map_or(0, |a| a.value);
    let keys = raw.get_key_state()?;
    Ok(State {
        down: keys.iter().map(|key| key.0).collect(),
        place: (
            value(AbsoluteAxisCode::ABS_X),
            value(AbsoluteAxisCode::ABS_Y),
        ),
    })
}
