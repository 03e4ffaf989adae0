//! What the user does, from wherever it comes: the control socket today,
//! libinput later. Clients never produce one.

use crate::core::PointF;

/// One act of the user.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InputEvent {
    /// A key went down or up.
    Key {
        /// Linux input event code (`KEY_A` = 30), without the offset of 8 that xkb adds.
        code: u32,
        /// Down or up.
        pressed: bool,
    },
    /// The pointer is now here, in compositor pixels; clamped to the monitors.
    Motion {
        /// Where.
        to: PointF,
    },
    /// A pointer button went down or up.
    Button {
        /// Linux input event code (`BTN_LEFT` = 0x110).
        code: u32,
        /// Down or up.
        pressed: bool,
    },
    /// The wheel turned.
    Axis {
        /// Notches to the right, in 1/120 of a notch.
        horizontal: i32,
        /// Notches down, in 1/120 of a notch.
        vertical: i32,
    },
}
