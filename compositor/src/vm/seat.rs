//! A VM's seat: what of the user's input reaches its clients.
//!
//! Every key goes to every VM's seat, so that modifiers and locks are the same
//! wherever the focus goes next; only the VM with the keyboard passes them on.
//! A seat that saw a press always sees the release, or keys and grabs stick.

use std::collections::BTreeSet;

use smithay::backend::input::{Axis, AxisSource, ButtonState, KeyState, Keycode};
use smithay::input::Seat;
use smithay::input::keyboard::{FilterResult, KeyboardHandle, KeyboardTarget, XkbConfig};
use smithay::input::pointer::{AxisFrame, ButtonEvent, MotionEvent, PointerHandle};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::Serial;

use super::state::VmState;
use super::{Vm, VmEvent};
use crate::core::{Point, PointF, WindowKey};

/// Milliseconds a key is held before it repeats.
const REPEAT_DELAY_MS: i32 = 400;
/// Repeats per second.
const REPEAT_RATE: i32 = 25;
/// xkb counts keys from here; Linux from 0.
const XKB_KEY_OFFSET: u32 = 8;
/// Pixels scrolled per notch of the wheel, as libinput reports them.
const PIXELS_PER_NOTCH: f64 = 15.0;
/// Parts of a notch.
const NOTCH: f64 = 120.0;

/// Input state of one VM.
#[derive(Debug)]
pub(super) struct Input {
    keyboard: KeyboardHandle<VmState>,
    pointer: PointerHandle<VmState>,
    /// Keys whose press a client of this VM may have seen.
    forwarded: BTreeSet<u32>,
    serial: u32,
}

impl Input {
    pub(super) fn new(seat: &mut Seat<VmState>) -> anyhow::Result<Self> {
        let keyboard = seat
            .add_keyboard(XkbConfig::default(), REPEAT_DELAY_MS, REPEAT_RATE)
            .map_err(|error| {
                anyhow::anyhow!("cannot load a keymap ({error}); is xkb-data installed?")
            })?;
        Ok(Self {
            keyboard,
            pointer: seat.add_pointer(),
            forwarded: BTreeSet::new(),
            serial: 0,
        })
    }

    pub(super) fn next_serial(&mut self) -> Serial {
        self.serial = self.serial.wrapping_add(1);
        Serial::from(self.serial)
    }

    pub(super) fn keyboard(&self) -> KeyboardHandle<VmState> {
        self.keyboard.clone()
    }

    pub(super) fn pointer(&self) -> PointerHandle<VmState> {
        self.pointer.clone()
    }
}

impl Vm {
    /// A key went down or up. `focused`: this VM has the keyboard.
    pub(crate) fn key(&mut self, code: u32, pressed: bool, focused: bool) {
        self.state.key(code, pressed, focused);
    }

    /// The keyboard goes to a window of this VM, or away from it.
    pub(crate) fn focus(&mut self, key: Option<WindowKey>) {
        self.state.focus(key);
    }

    /// The pointer is at `at`, relative to the content of this VM's window.
    pub(crate) fn motion(&mut self, key: WindowKey, at: PointF) {
        self.state.motion(key, at);
    }

    /// The pointer is over nothing of this VM.
    pub(crate) fn leave(&mut self) {
        self.state.leave();
    }

    /// A button for whatever the pointer is over.
    pub(crate) fn button(&mut self, code: u32, pressed: bool) {
        self.state.button(code, pressed);
    }

    /// The wheel turned, in 1/120 of a notch.
    pub(crate) fn axis(&mut self, horizontal: i32, vertical: i32) {
        self.state.axis(horizontal, vertical);
    }

    /// Closes menus that hold the pointer and the keyboard.
    pub(crate) fn end_grabs(&mut self) -> Vec<VmEvent> {
        self.state.end_grabs();
        std::mem::take(&mut self.state.outbox)
    }
}

impl VmState {
    fn key(&mut self, code: u32, pressed: bool, focused: bool) {
        let keyboard = self.input.keyboard();
        let forward = if pressed {
            focused && self.input.forwarded.insert(code)
        } else {
            self.input.forwarded.remove(&code)
        };
        let state = if pressed {
            KeyState::Pressed
        } else {
            KeyState::Released
        };
        let xkb_code = Keycode::from(code.saturating_add(XKB_KEY_OFFSET));
        if !forward {
            let ((), modifiers_changed) =
                keyboard.input_intercept(self, xkb_code, state, |_, _, _| ());
            if modifiers_changed && focused {
                self.send_modifiers(&keyboard);
            }
            return;
        }
        // Without a focus nothing is sent, and the serial must not tell of it.
        let serial = if keyboard.current_focus().is_some() {
            self.next_serial()
        } else {
            Serial::from(self.input.serial)
        };
        let time = self.time();
        keyboard.input::<(), _>(self, xkb_code, state, serial, time, |_, _, _| {
            FilterResult::Forward
        });
    }

    /// Tells the focused client of modifiers it did not see change: the key
    /// went down while another VM had the keyboard.
    fn send_modifiers(&mut self, keyboard: &KeyboardHandle<Self>) {
        if let Some(surface) = keyboard.current_focus() {
            let serial = self.next_serial();
            let seat = self.seat.clone();
            let modifiers = keyboard.modifier_state();
            KeyboardTarget::modifiers(&surface, &seat, self, modifiers, serial);
        }
    }

    fn focus(&mut self, key: Option<WindowKey>) {
        self.windows.set_active(key);
        let surface = key.and_then(|key| self.windows.surface(key));
        let keyboard = self.input.keyboard();
        if keyboard.current_focus() != surface {
            let serial = self.next_serial();
            keyboard.set_focus(self, surface, serial);
        }
    }

    fn motion(&mut self, key: WindowKey, at: PointF) {
        let focus = self.windows.surface_at(key, at.pixel());
        self.move_pointer(focus, at);
    }

    pub(super) fn leave(&mut self) {
        self.move_pointer(None, PointF::new(-1.0, -1.0));
    }

    fn move_pointer(&mut self, focus: Option<(WlSurface, Point)>, at: PointF) {
        let pointer = self.input.pointer();
        // Only enter and leave carry a serial.
        let changes = pointer.current_focus().as_ref() != focus.as_ref().map(|(s, _)| s);
        let serial = if changes {
            self.next_serial()
        } else {
            Serial::from(self.input.serial)
        };
        let focus = focus.map(|(s, p)| (s, (f64::from(p.x), f64::from(p.y)).into()));
        let event = MotionEvent {
            location: (at.x, at.y).into(),
            serial,
            time: self.time(),
        };
        pointer.motion(self, focus, &event);
        pointer.frame(self);
    }

    fn button(&mut self, code: u32, pressed: bool) {
        let pointer = self.input.pointer();
        let serial = if pointer.current_focus().is_some() {
            self.next_serial()
        } else {
            Serial::from(self.input.serial)
        };
        let event = ButtonEvent {
            serial,
            time: self.time(),
            button: code,
            state: if pressed {
                ButtonState::Pressed
            } else {
                ButtonState::Released
            },
        };
        pointer.button(self, &event);
        pointer.frame(self);
    }

    fn axis(&mut self, horizontal: i32, vertical: i32) {
        let mut frame = AxisFrame::new(self.time()).source(AxisSource::Wheel);
        for (axis, steps) in [(Axis::Horizontal, horizontal), (Axis::Vertical, vertical)] {
            if steps != 0 {
                let pixels = f64::from(steps) / NOTCH * PIXELS_PER_NOTCH;
                frame = frame.value(axis, pixels).v120(axis, steps);
            }
        }
        let pointer = self.input.pointer();
        pointer.axis(self, frame);
        pointer.frame(self);
    }

    pub(super) fn end_grabs(&mut self) {
        let (keyboard, pointer) = (self.input.keyboard(), self.input.pointer());
        if !keyboard.is_grabbed() && !self.windows.has_popup_grab() {
            return;
        }
        let serial = self.next_serial();
        let time = self.time();
        keyboard.unset_grab(self);
        pointer.unset_grab(self, serial, time);
        self.windows.dismiss_popups();
        // The popup had the keyboard.
        let window = self
            .windows
            .active()
            .and_then(|key| self.windows.surface(key));
        if keyboard.current_focus() != window {
            keyboard.set_focus(self, window, serial);
        }
    }
}
