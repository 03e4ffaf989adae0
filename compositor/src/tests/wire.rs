//! A client that writes whatever bytes it likes, well-formed or not.

use std::collections::VecDeque;
use std::io::{IoSlice, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::fixture::Fixture;

/// The display, which every connection has.
pub(super) const DISPLAY: u32 = 1;
const REGISTRY: u32 = 2;

/// Time without a byte in either direction after which a connection counts as
/// stalled. A VM that was busy may be made to wait, but not nearly as long.
const STALL: Duration = Duration::from_secs(5);

/// What became of a hostile client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It gets answers.
    Served,
    /// Its connection was ended.
    Killed,
    /// Its connection is open, and nothing happens on it.
    Stalled,
}

/// One message being built.
#[derive(Debug)]
pub(super) struct Msg {
    object: u32,
    opcode: u16,
    body: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Msg {
    pub(super) fn new(object: u32, opcode: u16) -> Self {
        Self {
            object,
            opcode,
            body: Vec::new(),
            fds: Vec::new(),
        }
    }

    pub(super) fn u(mut self, value: u32) -> Self {
        self.body.extend(value.to_ne_bytes());
        self
    }

    pub(super) fn i(self, value: i32) -> Self {
        self.u(u32::from_ne_bytes(value.to_ne_bytes()))
    }

    /// Several signed arguments.
    pub(super) fn is<const N: usize>(self, values: [i32; N]) -> Self {
        values.into_iter().fold(self, Self::i)
    }

    /// A string or array argument: length, bytes, padding. A string brings
    /// its own NUL.
    pub(super) fn bytes(mut self, value: &[u8]) -> Self {
        self = self.u(u32::try_from(value.len()).unwrap());
        self.body.extend(value);
        self.body.resize(self.body.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn string(self, value: &str) -> Self {
        self.bytes(format!("{value}\0").as_bytes())
    }

    pub(super) fn fd(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.fds.push(fd.into());
        self
    }

    fn encode(&self) -> Vec<u8> {
        header(
            self.object,
            self.opcode,
            u16::try_from(self.body.len() + 8).unwrap(),
            &self.body,
        )
    }
}

/// A message with a size of the caller's choice in its header.
pub(super) fn header(object: u32, opcode: u16, size: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = object.to_ne_bytes().to_vec();
    bytes.extend((u32::from(size) << 16 | u32::from(opcode)).to_ne_bytes());
    bytes.extend(body);
    bytes
}

/// The connection.
#[derive(Debug)]
pub(super) struct Raw {
    stream: UnixStream,
    out: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    input: Vec<u8>,
    next_id: u32,
    globals: Vec<(u32, String, u32)>,
    /// Whether it reads what the compositor sends.
    pub(super) reads: bool,
    /// Object, opcode and body of every event so far.
    pub(super) events: Vec<(u32, u16, Vec<u8>)>,
    /// Text of the protocol error it got.
    pub(super) error: Option<String>,
    /// The compositor ended the connection.
    pub(super) closed: bool,
}

impl Raw {
    /// Connects to a VM's socket and learns the globals.
    #[track_caller]
    pub(super) fn connect(fixture: &mut Fixture, vm: &str) -> Self {
        let stream = fixture.connect_raw(vm);
        stream.set_nonblocking(true).unwrap();
        let mut raw = Self {
            stream,
            out: VecDeque::new(),
            input: Vec::new(),
            next_id: REGISTRY + 1,
            globals: Vec::new(),
            reads: true,
            events: Vec::new(),
            error: None,
            closed: false,
        };
        raw.send(Msg::new(DISPLAY, 1).u(REGISTRY));
        assert_eq!(
            raw.roundtrip(fixture),
            Outcome::Served,
            "a new client gets the list of globals"
        );
        raw
    }

    /// A number for a new object.
    pub(super) fn id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id - 1
    }

    pub(super) fn send(&mut self, message: Msg) {
        self.send_bytes(message.encode(), message.fds);
    }

    pub(super) fn send_bytes(&mut self, bytes: Vec<u8>, fds: Vec<OwnedFd>) {
        self.out.push_back((bytes, fds));
    }

    /// Name and version of a global.
    #[track_caller]
    pub(super) fn global(&self, interface: &str) -> (u32, u32) {
        let found = self.globals.iter().find(|(_, name, _)| name == interface);
        let (name, _, version) = found.unwrap_or_else(|| panic!("{interface} is not offered"));
        (*name, *version)
    }

    /// Binds a global.
    #[track_caller]
    pub(super) fn bind(&mut self, interface: &str) -> u32 {
        let (name, version) = self.global(interface);
        let id = self.id();
        self.send(
            Msg::new(REGISTRY, 0)
                .u(name)
                .string(interface)
                .u(version)
                .u(id),
        );
        id
    }

    /// A new object made by a request whose first argument is its number.
    pub(super) fn create(
        &mut self,
        factory: u32,
        opcode: u16,
        rest: impl FnOnce(Msg) -> Msg,
    ) -> u32 {
        let id = self.id();
        self.send(rest(Msg::new(factory, opcode).u(id)));
        id
    }

    /// Sends a `sync` and lets the compositor work until it answers, ends the
    /// connection, or does nothing for it any more.
    pub(super) fn roundtrip(&mut self, fixture: &mut Fixture) -> Outcome {
        let callback = self.id();
        self.send(Msg::new(DISPLAY, 0).u(callback));
        let mut last = Instant::now();
        fixture.until("an answer or the end of a hostile client", |_| {
            if self.pump() {
                last = Instant::now();
            }
            let done = self.events.iter().any(|(object, ..)| *object == callback);
            match (done, self.closed, last.elapsed() >= STALL) {
                (true, ..) => Some(Outcome::Served),
                (_, true, _) => Some(Outcome::Killed),
                (_, _, true) => Some(Outcome::Stalled),
                _ => None,
            }
        })
    }

    /// Writes and reads what is possible now; whether that was anything.
    pub(super) fn pump(&mut self) -> bool {
        let mut moved = false;
        while !self.closed && self.write_some() {
            moved = true;
        }
        while self.reads && !self.closed && self.read_some() {
            moved = true;
        }
        moved
    }

    /// The bare connection.
    pub(super) fn into_stream(self) -> UnixStream {
        self.stream
    }

    /// Gives up what was not written yet.
    pub(super) fn forget_unsent(&mut self) {
        self.out.clear();
    }

    /// Whether the compositor has closed its end, also when nothing is read.
    pub(super) fn hung_up(&self) -> bool {
        let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::ZERO).unwrap();
        fds[0]
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLHUP))
    }

    /// Whether everything was written.
    pub(super) fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    fn write_some(&mut self) -> bool {
        let Some((bytes, fds)) = self.out.front_mut() else {
            return false;
        };
        let numbers: Vec<_> = fds.iter().map(|fd| fd.as_fd().as_raw_fd()).collect();
        let control = [ControlMessage::ScmRights(&numbers)];
        let control = if numbers.is_empty() {
            &control[..0]
        } else {
            &control[..]
        };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match sendmsg::<()>(
            self.stream.as_raw_fd(),
            &[IoSlice::new(bytes)],
            control,
            flags,
            None,
        ) {
            Ok(sent) => {
                fds.clear();
                bytes.drain(..sent);
                if bytes.is_empty() {
                    self.out.pop_front();
                }
                true
            }
            Err(nix::Error::EAGAIN | nix::Error::ETOOMANYREFS) => false,
            Err(_) => {
                // Gone; what it said before is still to be read.
                self.out.clear();
                false
            }
        }
    }

    fn read_some(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.closed = true,
            Ok(n) => self.input.extend(&chunk[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(_) => self.closed = true,
        }
        self.parse();
        true
    }

    fn parse(&mut self) {
        while self.input.len() >= 8 {
            let word = |at: usize| u32::from_ne_bytes(self.input[at..at + 4].try_into().unwrap());
            let (object, second) = (word(0), word(4));
            let size = (second >> 16) as usize;
            assert!(size >= 8, "the compositor sent a message of {size} bytes");
            if self.input.len() < size {
                return;
            }
            let body = self.input[8..size].to_vec();
            self.input.drain(..size);
            let opcode = (second & 0xffff) as u16;
            match (object, opcode) {
                (DISPLAY, 0) => self.error = Some(text(&body[8..])),
                (REGISTRY, 0) => {
                    let interface = text(&body[4..]);
                    let word = |at: usize| u32::from_ne_bytes(body[at..at + 4].try_into().unwrap());
                    self.globals
                        .push((word(0), interface, word(body.len() - 4)));
                }
                _ => self.events.push((object, opcode, body)),
            }
        }
    }
}

/// A string argument.
fn text(argument: &[u8]) -> String {
    let length = u32::from_ne_bytes(argument[..4].try_into().unwrap()) as usize;
    String::from_utf8_lossy(&argument[4..4 + length.saturating_sub(1)]).into_owned()
}
