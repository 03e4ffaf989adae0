//! A Wayland client made of bytes, which does what no library would.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::scm;
use crate::wait::{self, Deadline};
use anyhow::{Context as _, Result, bail, ensure};

/// The object that every connection begins with, wl_display.
pub const DISPLAY: u32 = 1;
const REGISTRY: u32 = 2;

/// wl_display.get_registry
const GET_REGISTRY: u16 = 1;

/// Most bytes read at once.
const READ: usize = 65536;

/// What a server says.
#[derive(Clone, Debug)]
pub struct Event {
    /// The object it is of.
    pub object: u32,
    /// Which of that object's events it is.
    pub opcode: u16,
    /// Its arguments.
    pub body: Vec<u8>,
}

impl Event {
    /// The argument at a word's place.
    ///
    /// # Errors
    /// When the event is shorter.
    pub fn word(&self, at: usize) -> Result<u32> {
        let bytes = self.body.get(at * 4..at * 4 + 4).context("a short event")?;
        Ok(u32::from_ne_bytes(bytes.try_into()?))
    }

    /// The string argument at a word's place.
    fn text(&self, at: usize) -> Result<String> {
        let len = self.word(at)? as usize;
        let start = at * 4 + 4;
        let bytes = self
            .body
            .get(start..start + len.saturating_sub(1))
            .context("a short string")?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// A global of the server.
#[derive(Clone, Debug)]
struct Global {
    name: u32,
    interface: String,
}

/// A connection to a server.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    last_id: u32,
    inbox: Vec<u8>,
    /// Descriptors that came, oldest first.
    pub fds: VecDeque<OwnedFd>,
    globals: Vec<Global>,
}

impl Client {
    /// Connects; nothing is said yet.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(socket: &Path) -> Result<Self> {
        Ok(Self {
            stream: UnixStream::connect(socket)
                .with_context(|| format!("connect to {}", socket.display()))?,
            last_id: DISPLAY,
            inbox: Vec::new(),
            fds: VecDeque::new(),
            globals: Vec::new(),
        })
    }

    /// Connects and learns of the globals, which takes a round trip.
    ///
    /// # Errors
    /// When nobody listens, or the server does not serve.
    pub fn start(socket: &Path) -> Result<Self> {
        let mut client = Self::connect(socket)?;
        client.greet()?;
        client.meet()?;
        Ok(client)
    }

    /// Asks for the globals, without waiting for an answer.
    ///
    /// # Errors
    /// When the connection is closed, or nothing comes in time.
    pub fn greet(&mut self) -> Result<()> {
        let registry = self.new_id();
        ensure!(registry == REGISTRY, "greeted already");
        self.request(DISPLAY, GET_REGISTRY, &[registry], &[])
    }

    /// Waits for the globals.
    ///
    /// # Errors
    /// When the connection is closed, or nothing comes in time.
    pub fn meet(&mut self) -> Result<()> {
        for event in self.sync()? {
            if event.object == REGISTRY && event.opcode == 0 {
                self.globals.push(Global {
                    name: event.word(0)?,
                    interface: event.text(1)?,
                });
            }
        }
        ensure!(!self.globals.is_empty(), "a server without globals");
        Ok(())
    }

    /// Whether the server offers a global to this client.
    pub fn is_offered(&self, interface: &str) -> bool {
        self.globals
            .iter()
            .any(|global| global.interface == interface)
    }

    /// A number for a new object.
    pub fn new_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    /// One request as it is sent.
    pub fn encode(object: u32, opcode: u16, arguments: &[u32]) -> Vec<u8> {
        let size = u32::try_from(8 + 4 * arguments.len()).unwrap_or(u32::MAX);
        [object, size << 16 | u32::from(opcode)]
            .iter()
            .chain(arguments)
            .flat_map(|word| word.to_ne_bytes())
            .collect()
    }

    /// Sends one request.
    ///
    /// # Errors
    /// When the connection is closed, or nothing comes in time.
    pub fn request(
        &mut self,
        object: u32,
        opcode: u16,
        arguments: &[u32],
        fds: &[BorrowedFd<'_>],
    ) -> Result<()> {
        self.send(&Self::encode(object, opcode, arguments), fds)
    }

    /// Sends bytes and descriptors as one message.
    ///
    /// # Errors
    /// When the connection is closed, or nothing comes in time.
    pub fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        scm::send(&self.stream, bytes, fds)
    }

    /// As [`Self::send`], but never waits.
    ///
    /// # Errors
    /// When the connection is closed, or nothing comes in time.
    pub fn try_send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.set_nonblocking(true)?;
        let sent = self.send(bytes, &[]);
        self.stream.set_nonblocking(false)?;
        sent
    }

    /// Whether there is something to receive, or the server has closed the connection.
    ///
    /// # Errors
    /// When the connection is closed, or nothing comes in time.
    pub fn has_news(&self) -> Result<bool> {
        wait::is_readable(self.stream.as_fd())
    }

    /// Asks for the globals so often that the answers are that many bytes or more, all at once; how many
    /// bytes they are.
    ///
    /// # Errors
    /// When the connection is closed, or nothing comes in time.
    pub fn ask_for_events(&mut self, bytes: usize) -> Result<usize> {
        let registry = self.new_id();
        self.request(DISPLAY, GET_REGISTRY, &[registry], &[])?;
        let one = self.events_of_registries()?;
        let count = bytes.div_ceil(one.max(1));
        let requests: Vec<u8> = (0..count)
            .flat_map(|_| Self::encode(DISPLAY, GET_REGISTRY, &[self.new_id()]))
            .collect();
        self.send(&requests, &[])?;
        Ok(one * count)
    }

    /// Waits for all that was asked for; how many bytes of it were events of registries.
    ///
    /// # Errors
    /// When the connection is closed, or nothing comes in time.
    pub fn events_of_registries(&mut self) -> Result<usize> {
        let events = self.sync()?;
        let of_registries = events.iter().filter(|event| event.object != DISPLAY);
        Ok(of_registries.map(|event| 8 + event.body.len()).sum())
    }

    /// Binds a global; its object.
    ///
    /// # Errors
    /// When the connection is closed, or nothing comes in time.
    pub fn bind(&mut self, interface: &str, version: u32) -> Result<u32> {
        let id = self.new_id();
        let global = self
            .globals
            .iter()
            .find(|global| global.interface == interface)
            .with_context(|| format!("no {interface}"))?;
        let mut text = interface.as_bytes().to_vec();
        let len = u32::try_from(text.len() + 1)?;
        text.resize(text.len() / 4 * 4 + 4, 0);
        let mut arguments = vec![global.name, len];
        arguments.extend(
            text.chunks_exact(4)
                .map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]])),
        );
        arguments.extend([version, id]);
        self.request(REGISTRY, 0, &arguments, &[])?;
        Ok(id)
    }

    /// Everything the server says until it has done all that was asked.
    ///
    /// # Errors
    /// When the connection is closed, or nothing comes in time.
    pub fn sync(&mut self) -> Result<Vec<Event>> {
        let callback = self.new_id();
        self.request(DISPLAY, 0, &[callback], &[])?;
        let mut events = Vec::new();
        loop {
            let event = self.event()?;
            if event.object == callback {
                return Ok(events);
            }
            events.push(event);
        }
    }

    /// The next event; the server's last word, a protocol error, is an error here.
    ///
    /// # Errors
    /// When the connection is closed, or nothing comes in time.
    pub fn event(&mut self) -> Result<Event> {
        let event = self.any_event()?;
        if event.object == DISPLAY && event.opcode == 0 {
            let (code, text) = (event.word(1)?, event.text(2)?);
            bail!("protocol error {code}: {text}");
        }
        Ok(event)
    }

    fn any_event(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.take()? {
                return Ok(event);
            }
            let (bytes, fds) = scm::recv(&self.stream, READ)?;
            ensure!(!bytes.is_empty(), "the server has closed the connection");
            self.inbox.extend(bytes);
            self.fds.extend(fds);
        }
    }

    fn take(&mut self) -> Result<Option<Event>> {
        let Some(header) = self.inbox.get(..8) else {
            return Ok(None);
        };
        let object = u32::from_ne_bytes(header[..4].try_into()?);
        let word = u32::from_ne_bytes(header[4..].try_into()?);
        let size = (word >> 16) as usize;
        ensure!(size >= 8, "an event of {size} bytes");
        if self.inbox.len() < size {
            return Ok(None);
        }
        let body = self.inbox.drain(..size).skip(8).collect();
        Ok(Some(Event {
            object,
            opcode: (word & 0xffff) as u16,
            body,
        }))
    }

    /// The protocol error that ends what is being done; what was sent behind its cause may fail.
    ///
    /// # Errors
    /// When the connection is closed, or nothing comes in time.
    pub fn protocol_error<T: std::fmt::Debug>(
        &mut self,
        mut done: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<String> {
        let first = match done(self) {
            Ok(value) => bail!("no protocol error, but {value:?}"),
            Err(error) => error.to_string(),
        };
        if first.contains("protocol error") {
            return Ok(first);
        }
        loop {
            let error = match self.event() {
                Ok(_) => continue,
                Err(error) => error.to_string(),
            };
            ensure!(error.contains("protocol error"), "{first}, then {error}");
            return Ok(error);
        }
    }

    /// Waits until the server has closed the connection, whatever it says before.
    ///
    /// # Errors
    /// When the connection is closed, or nothing comes in time.
    pub fn wait_closed(&mut self) -> Result<()> {
        loop {
            wait::readable(&[self.stream.as_fd()], Deadline::step())?;
            match scm::recv(&self.stream, READ) {
                Ok((bytes, _)) if !bytes.is_empty() => {}
                // With unread data behind it the end is a reset.
                _ => return Ok(()),
            }
        }
    }
}
