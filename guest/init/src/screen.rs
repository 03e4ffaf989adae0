//! The port that reaches the compositor's control socket from outside of the guest.
//!
//! Bytes are passed on as they are. A host that connects says hello in a line of its own, and gets
//! a connection of its own by that. Whether there is a host, which the port could be asked for, is
//! of no use: the end of one host's connection and the bytes of the next come by different queues,
//! in any order.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use calloop::generic::Generic;
use calloop::{Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{read, write};

use self::greeting::{Greeting, Piece};
use crate::init::Init;

mod greeting;

/// Bytes that wait in each direction; then the sender waits.
const BUFFER: usize = 64 * 1024;

/// Turns of both directions before others have theirs.
const STEPS_PER_TURN: usize = 16;

/// The port, and the connection of the host that came last.
#[derive(Debug)]
pub(crate) struct Screen {
    port: Rc<OwnedFd>,
    handle: LoopHandle<'static, Init>,
    connection: Option<(Rc<OwnedFd>, RegistrationToken)>,
    /// Where in the host's lines its bytes are.
    greeting: Greeting,
    /// From the host, as it came.
    from_port: VecDeque<u8>,
    /// From the host, for its connection.
    to_socket: VecDeque<u8>,
    /// To the host.
    to_port: VecDeque<u8>,
    work: bool,
}

/// What moving bytes once came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moved {
    Some,
    None,
    /// The other side is gone.
    End,
}

impl Screen {
    /// Serves a port.
    ///
    /// # Errors
    /// Whatever watching it gives.
    pub(crate) fn attach(
        handle: &LoopHandle<'static, Init>,
        port: OwnedFd,
    ) -> calloop::Result<Self> {
        let port = Rc::new(port);
        // Edges, as a port without a host would be a hang-up all the time.
        watch(handle, &port)?;
        Ok(Self {
            port,
            handle: handle.clone(),
            connection: None,
            greeting: Greeting::default(),
            from_port: VecDeque::new(),
            to_socket: VecDeque::new(),
            to_port: VecDeque::new(),
            work: true,
        })
    }

    /// Whether there may be something to move that no event will tell.
    pub(crate) fn has_work(&self) -> bool {
        self.work
    }

    /// Moves what can be moved to `target`, the compositor's socket.
    pub(crate) fn settle(&mut self, target: &Path) {
        for _ in 0..STEPS_PER_TURN {
            if !self.work {
                return;
            }
            self.work = self.step(target);
        }
    }

    fn step(&mut self, target: &Path) -> bool {
        // Its end is no host at the port: nothing can be read until one is there.
        let mut moved = vec![fill(&mut self.from_port, &self.port), self.sort()];
        if self.connection.is_none()
            && !self.to_socket.is_empty()
            && let Err(error) = self.connect(target)
        {
            tracing::warn!("no compositor for the host: {error}");
            self.to_socket.clear();
            return true;
        }
        if let Some((socket, _)) = self.connection.clone() {
            let socket_moves = [
                drain(&mut self.to_socket, &socket),
                fill(&mut self.to_port, &socket),
            ];
            if socket_moves.contains(&Moved::End) {
                self.hang_up();
            }
            moved.extend(socket_moves);
        }
        moved.push(drain(&mut self.to_port, &self.port));
        moved.contains(&Moved::Some)
    }

    /// Looks for the next host among the bytes, and puts them where they go.
    fn sort(&mut self) -> Moved {
        if self.to_socket.len() >= BUFFER {
            return Moved::None;
        }
        if self.from_port.is_empty() {
            return Moved::None;
        }
        while let Some(byte) = self.from_port.pop_front() {
            match self.greeting.next(byte) {
                Piece::Part => {}
                Piece::Bytes(bytes) => self.to_socket.extend(bytes),
                Piece::Hello(bytes) => {
                    // Nothing of the last conversation may reach this host, and no line that was
                    // cut may swallow the first of this one.
                    self.hang_up();
                    self.to_port.clear();
                    self.to_port.push_back(b'\n');
                    self.to_socket.extend(bytes);
                    return Moved::Some;
                }
            }
        }
        Moved::Some
    }

    fn connect(&mut self, target: &Path) -> io::Result<()> {
        // A compositor that accepts nothing must not stop this process.
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        connect(socket.as_raw_fd(), &UnixAddr::new(target)?)?;
        let socket = Rc::new(socket);
        let token = watch(&self.handle, &socket).map_err(io::Error::other)?;
        self.connection = Some((socket, token));
        Ok(())
    }

    /// Ends the connection; the compositor's last words are still sent.
    fn hang_up(&mut self) {
        if let Some((_, token)) = self.connection.take() {
            self.handle.remove(token);
        }
        self.to_socket.clear();
    }
}

fn watch(
    handle: &LoopHandle<'static, Init>,
    file: &Rc<OwnedFd>,
) -> calloop::Result<RegistrationToken> {
    let source = Generic::new(Rc::clone(file), Interest::BOTH, Mode::Edge);
    let inserted = handle.insert_source(source, |_, _, init: &mut Init| {
        if let Some(screen) = &mut init.screen {
            screen.work = true;
        }
        Ok(PostAction::Continue)
    });
    inserted.map_err(|error| error.error)
}

/// Reads into a buffer while it has room.
fn fill(buffer: &mut VecDeque<u8>, from: &OwnedFd) -> Moved {
    let mut bytes = [0; 4096];
    let room = (BUFFER - buffer.len().min(BUFFER)).min(bytes.len());
    if room == 0 {
        return Moved::None;
    }
    match read(from, &mut bytes[..room]) {
        Ok(0) => Moved::End,
        Ok(count) => {
            buffer.extend(&bytes[..count]);
            Moved::Some
        }
        Err(Errno::EINTR) => Moved::Some,
        Err(Errno::EAGAIN) => Moved::None,
        Err(_) => Moved::End,
    }
}

/// Writes what is taken out of a buffer.
fn drain(buffer: &mut VecDeque<u8>, to: &OwnedFd) -> Moved {
    let (front, _) = buffer.as_slices();
    if front.is_empty() {
        return Moved::None;
    }
    match write(to, front) {
        Ok(count) => {
            buffer.drain(..count);
            if count > 0 { Moved::Some } else { Moved::None }
        }
        Err(Errno::EINTR) => Moved::Some,
        Err(Errno::EAGAIN) => Moved::None,
        Err(_) => Moved::End,
    }
}
