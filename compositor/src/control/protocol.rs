//! What is said on the control socket.
//!
//! A stream of lines, each one JSON value: requests from the client, and for
//! each, in order, exactly one reply; empty lines have none. The reply to a screenshot carries one
//! descriptor with its first byte: sealed memory with the pixels.

use serde::{Deserialize, Serialize};

/// Longest request line in bytes, newline included. The longest real one is a
/// text to type ([`MAX_TEXT_CHARS`]).
pub const MAX_REQUEST_BYTES: usize = 32 * 1024;

/// Longest text of one `type` request, in characters: each becomes up to six
/// key events, and all of them are queued for one client.
pub const MAX_TEXT_CHARS: usize = 1024;

/// Longest token of a `hello`, in bytes.
pub const MAX_TOKEN_BYTES: usize = 64;

/// Longest time a `wait` may take, in milliseconds: ten minutes.
pub const MAX_WAIT_MS: u64 = 600_000;

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Answered by the same [`Reply::Hello`]. Whoever shares a stream with others before it, such as
    /// the port of a virtual machine, says so first, in a line of its own after an empty one, and
    /// passes over all lines until the answer: they are meant for those others.
    Hello {
        /// Tells the answer from those to others, at most [`MAX_TOKEN_BYTES`] long.
        token: String,
    },
    /// All windows.
    Windows {},
    /// The screen, after all that is committed by now has been drawn.
    Screenshot {},
    /// The user acts.
    Input(Input),
    /// Answered when the condition holds, or when the time is up.
    Wait {
        /// The condition.
        until: Condition,
        /// Milliseconds, at most [`MAX_WAIT_MS`].
        timeout_ms: u64,
    },
    /// Counters.
    Stats {},
    /// Ends the compositor.
    Quit {},
}

/// What the user does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Input {
    /// A key or a chord, see [`Typist::keys`](crate::keymap::Typist::keys).
    Key {
        /// Names or codes joined with `+`.
        key: String,
        /// Press (`true`), release (`false`) or both.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pressed: Option<bool>,
    },
    /// Types text.
    Type {
        /// At most [`MAX_TEXT_CHARS`] characters.
        text: String,
    },
    /// Moves the pointer.
    Move {
        /// Pixels from the left edge.
        x: f64,
        /// Pixels from the top edge.
        y: f64,
    },
    /// A pointer button.
    Button {
        /// Linux input event code.
        code: u32,
        /// Press (`true`), release (`false`) or both.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pressed: Option<bool>,
    },
    /// The wheel, in 1/120 of a notch.
    Axis {
        /// To the right.
        horizontal: i32,
        /// Down.
        vertical: i32,
    },
}

/// What can be waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Condition {
    /// So many toplevel windows that match.
    Windows {
        /// How many.
        count: usize,
        /// Of this VM only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vm: Option<String>,
        /// Whose title contains this only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// Not more than `count` either.
        #[serde(default)]
        exactly: bool,
    },
    /// All that is committed is drawn.
    Idle {},
    /// No frame was drawn for so many milliseconds.
    Quiet {
        /// Milliseconds.
        ms: u64,
    },
    /// So many frames were drawn since the start.
    Frames {
        /// How many.
        count: u64,
    },
}

/// One reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// To [`Request::Hello`].
    Hello {
        /// As in the request.
        token: String,
    },
    /// Done.
    Ok {},
    /// To [`Request::Windows`], topmost first.
    Windows(Vec<Window>),
    /// To [`Request::Screenshot`]: the size of the picture in the memory that
    /// comes along, `width * height` pixels of 4 bytes, `0xXXRRGGBB` in native
    /// byte order, row after row.
    Screenshot {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// To [`Request::Stats`].
    Stats(Stats),
    /// Not done, and why; for people.
    Error {
        /// One line.
        message: String,
    },
}

/// One window or popup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Name of its VM.
    pub vm: String,
    /// Id of its VM.
    pub vm_id: u64,
    /// Its number within the VM; a popup has that of its window.
    pub window: u64,
    /// `toplevel` or `popup`.
    pub kind: Kind,
    /// What the client calls it: untrusted.
    pub title: String,
    /// What the client calls itself: untrusted.
    pub app_id: String,
    /// The VM's colour, `#rrggbb`.
    pub colour: String,
    /// Frame and content on the screen.
    pub frame: Area,
    /// The content alone.
    pub content: Area,
    /// Whether it has the keyboard.
    pub focused: bool,
}

/// Kinds of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A window of its own.
    Toplevel,
    /// A menu, a tooltip.
    Popup,
}

/// A rectangle of screen pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Area {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width.
    pub width: i32,
    /// Height.
    pub height: i32,
}

/// Counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Frames drawn since the start.
    pub frames: u64,
    /// Mapped windows, popups not counted.
    pub windows: usize,
    /// Width and height of the screen in pixels.
    pub screen: (u32, u32),
    /// VMs with a connection.
    pub vms: Vec<VmStats>,
}

/// Counters of one VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmStats {
    /// Id given by the host.
    pub id: u64,
    /// Name given by the host.
    pub name: String,
    /// Its connections.
    pub clients: usize,
    /// Its mapped windows, popups not counted.
    pub windows: usize,
    /// Processor time spent on its requests, in milliseconds.
    pub busy_ms: u64,
}
