//! What the init of a guest image and its host say to each other.
//!
//! They talk over the virtio-serial port [`CONTROL_PORT`]: lines of JSON, [`Request`]s from the host
//! and [`Event`]s from the guest, newline at the end of each, no order between the two directions.
//! The host owns the VM, so nothing here gives it a right it lacks; the guest, on the other hand, is
//! not trusted, and a host must bound what it reads (a line has at most [`MAX_LINE_BYTES`]).

mod command;

use serde::{Deserialize, Serialize};

pub use self::command::{decode_command, encode_command};

/// Name of the virtio-serial port that carries this protocol.
pub const CONTROL_PORT: &str = "org.virtio-wl.control";

/// Name of the virtio-serial port that reaches the control socket of the compositor, for
/// `virtio-wl-compositor ctl`. Only the compositor VM has it.
pub const SCREEN_PORT: &str = "org.virtio-wl.screen";

/// Longest line in bytes, newline included. Output of programs is cut into events well below it.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// What a guest is for; kernel argument `vwl.role=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The compositor and nothing else. It refuses [`Request::Run`] unless the image is a debug one.
    Compositor,
    /// Applications, on the root file system of the first disk.
    App,
    /// Only init, in the initial RAM file system; for tests of the kernel driver.
    Bare,
}

/// From the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Starts a program. Answered by [`Event::Started`] or [`Event::Failed`].
    Run {
        /// Chosen by the host, and given back with all that concerns this program. A number in use
        /// fails.
        id: u32,
        /// The program, looked up in the guest's `PATH`, and its arguments.
        argv: Vec<String>,
        /// Added to the environment of the session (`WAYLAND_DISPLAY`, `XDG_RUNTIME_DIR`, ...).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        env: Vec<(String, String)>,
        /// As root instead of as the session's user.
        #[serde(default)]
        root: bool,
    },
    /// Gives a program bytes on its standard input.
    Input {
        /// Which program.
        id: u32,
        /// UTF-8 text.
        text: String,
    },
    /// Closes the standard input of a program.
    EndOfInput {
        /// Which program.
        id: u32,
    },
    /// Sends a signal to a program and all it started.
    Signal {
        /// Which program.
        id: u32,
        /// Signal number of x86-64 Linux.
        signal: i32,
    },
    /// Asks how things are; answered by [`Event::Booted`] and, if so, [`Event::Ready`]. A host gets
    /// them unasked when it connects, but one that takes the port over from another at once may not
    /// be noticed.
    State {},
    /// Asks for the kernel's log; answered by [`Event::KernelLog`]s, the last one with `end`.
    KernelLog {},
    /// Ends all programs in order and powers off.
    Halt {},
}

/// From the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// Init runs and takes requests. The first event.
    Booted {
        /// What the guest is for.
        role: Role,
        /// `uname -r`.
        kernel: String,
    },
    /// The service of the role takes clients: the compositor listens and has set a mode, or
    /// `sommelier` listens. Again after each restart of the service.
    Ready {},
    /// The service of the role has ended and is being restarted.
    ServiceEnded {
        /// Why.
        status: Ended,
    },
    /// A program runs.
    Started {
        /// Which program.
        id: u32,
        /// Its process id in the guest.
        pid: u32,
    },
    /// A program wrote something.
    Output {
        /// Which program.
        id: u32,
        /// Where.
        stream: Stream,
        /// What; bytes that are not UTF-8 appear as U+FFFD.
        text: String,
    },
    /// A program has ended and all its output has been sent.
    Ended {
        /// Which program.
        id: u32,
        /// How.
        status: Ended,
    },
    /// A part of the kernel's log.
    KernelLog {
        /// Whole lines, oldest first, as `<seconds> text`.
        text: String,
        /// No more follows.
        end: bool,
    },
    /// A request could not be carried out.
    Failed {
        /// The program it was about, if any.
        id: Option<u32>,
        /// Why, for a person.
        message: String,
    },
    /// The guest is about to power off. The last event.
    Halting {},
}

/// One of a program's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a program has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    /// Exit status 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Exit(0)
    }
}

#[cfg(test)]
mod tests;
