//! A connection over which a compositor is told of VMs.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use wayland_backend::client::WaylandError;
use wayland_client::protocol::{wl_callback::WlCallback, wl_registry};
use wayland_client::{
    ConnectError, Connection, Dispatch, DispatchError, EventQueue, Proxy, QueueHandle,
    delegate_noop,
};
use wayland_protocols::wp::security_context::v1::client::{
    wp_security_context_manager_v1::WpSecurityContextManagerV1,
    wp_security_context_v1::WpSecurityContextV1,
};

use crate::context::Context;
use crate::identity::{Identity, SANDBOX_ENGINE};

/// The version of the protocol that is spoken here.
const VERSION: u32 = 1;

/// A connection over which a compositor is told of VMs. Never waits.
///
/// Poll its descriptor for reading, and call [`dispatch`](Self::dispatch) when there is something:
/// the compositor first says whether it knows security contexts ([`support`](Self::support)), then
/// confirms each that is [`announce`](Self::announce)d. The contexts outlive the announcer; its use
/// afterwards is to tell when the compositor ends.
#[derive(Debug)]
pub struct Announcer {
    connection: Connection,
    queue: EventQueue<Heard>,
    heard: Heard,
    announced: u64,
}

/// What the compositor has said.
#[derive(Debug, Default)]
struct Heard {
    manager: Option<WpSecurityContextManagerV1>,
    /// All globals have been named.
    complete: bool,
    /// The newest context that is confirmed, and with it all before.
    confirmed: u64,
}

/// What an answer of the compositor is about.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// All globals were named before it.
    Globals,
    /// The context of this number was made before it.
    Context(u64),
}

/// Why a compositor cannot be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The compositor does not offer `wp_security_context_manager_v1`: it has never heard of
    /// security contexts, or hides them from this connection.
    #[error("the compositor offers no wp_security_context_manager_v1")]
    Unsupported,
    /// The compositor has not yet said what it offers.
    #[error("the compositor has not answered yet")]
    Unanswered,
    /// The time is up.
    #[error("the compositor did not answer in time")]
    TimedOut,
    /// The compositor has closed the connection, most likely by ending.
    #[error("the compositor closed the connection")]
    Closed,
    /// The compositor refused what it was told.
    #[error("the compositor refused: {0}")]
    Refused(String),
    /// Something of this process's failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Announcer {
    /// Over an ordinary connection to a compositor, on which nothing has been said.
    ///
    /// # Errors
    /// The socket cannot be used.
    pub fn new(display: UnixStream) -> Result<Self, Error> {
        let connection = Connection::from_socket(display).map_err(|error| match error {
            ConnectError::NoCompositor => Error::Closed,
            other => Error::Io(io::Error::other(other)),
        })?;
        let queue = connection.new_event_queue();
        let announcer = Self {
            connection,
            queue,
            heard: Heard::default(),
            announced: 0,
        };
        let (display, handle) = (announcer.connection.display(), announcer.queue.handle());
        display.get_registry(&handle, ());
        display.sync(&handle, Answer::Globals);
        announcer.flush()?;
        Ok(announcer)
    }

    /// Whether the compositor knows security contexts; nothing before it has said so.
    #[must_use]
    pub fn support(&self) -> Option<bool> {
        self.heard.complete.then_some(self.heard.manager.is_some())
    }

    /// Takes in all that the compositor has said.
    ///
    /// # Errors
    /// [`Error::Closed`] or [`Error::Refused`]: the announcer is of no more use. What it announced
    /// before still holds if the compositor lives.
    pub fn dispatch(&mut self) -> Result<(), Error> {
        self.flush()?;
        loop {
            self.queue
                .dispatch_pending(&mut self.heard)
                .map_err(|error| self.explain(error))?;
            let Some(guard) = self.queue.prepare_read() else {
                continue;
            };
            // The backend would complain of it on the standard error.
            if is_closed(self.connection.as_fd()) {
                return Err(Error::Closed);
            }
            match guard.read() {
                Ok(_) => {}
                Err(WaylandError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    break;
                }
                Err(error) => return Err(self.explain(DispatchError::Backend(error))),
            }
        }
        self.flush()
    }

    /// Has the compositor accept clients of a VM from `listener`, which listens already. It is
    /// borrowed: the compositor gets a duplicate.
    ///
    /// # Errors
    /// [`Error::Unanswered`] and [`Error::Unsupported`] by [`support`](Self::support), and the end
    /// of the connection.
    pub fn announce(&mut self, listener: impl AsFd, identity: &Identity) -> Result<Context, Error> {
        let manager = match (&self.heard.manager, self.heard.complete) {
            (Some(manager), _) => manager,
            (None, true) => return Err(Error::Unsupported),
            (None, false) => return Err(Error::Unanswered),
        };
        let (close, keep) = io::pipe()?;
        let handle = self.queue.handle();
        let context = manager.create_listener(listener.as_fd(), close.as_fd(), &handle, ());
        context.set_sandbox_engine(SANDBOX_ENGINE.to_owned());
        context.set_app_id(identity.app_id.clone());
        context.set_instance_id(identity.instance_id.clone());
        context.commit();
        context.destroy();
        self.announced += 1;
        let number = self.announced;
        self.connection
            .display()
            .sync(&handle, Answer::Context(number));
        self.flush()?;
        Ok(Context::new(keep, number))
    }

    /// Whether the compositor has taken a context of this announcer's. Clients that connect
    /// earlier wait, and are lost when it refuses.
    #[must_use]
    pub fn has_confirmed(&self, context: &Context) -> bool {
        context.number <= self.heard.confirmed
    }

    /// Sends what can be sent. The rest goes with the next dispatch: all that is ever said here
    /// fits a socket many times.
    fn flush(&self) -> Result<(), Error> {
        match self.connection.flush() {
            Err(WaylandError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            // What it said last is still to be read, and says why.
            Err(WaylandError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(self.explain(DispatchError::Backend(error))),
            Ok(()) => Ok(()),
        }
    }

    fn explain(&self, error: DispatchError) -> Error {
        match error {
            _ if self.connection.protocol_error().is_some() => {
                let error = self.connection.protocol_error();
                Error::Refused(error.map(|error| error.to_string()).unwrap_or_default())
            }
            DispatchError::Backend(WaylandError::Io(error)) => match error.kind() {
                io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::UnexpectedEof => Error::Closed,
                _ => Error::Io(error),
            },
            other => Error::Refused(other.to_string()),
        }
    }
}

/// Whether all has been read that there will ever be.
fn is_closed(socket: BorrowedFd<'_>) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    matches!(
        recv(socket.as_raw_fd(), &mut [0], flags),
        Ok(0) | Err(Errno::ECONNRESET)
    )
}

impl AsFd for Announcer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

impl Dispatch<wl_registry::WlRegistry, ()> for Heard {
    fn event(
        heard: &mut Self,
        registry: &wl_registry::WlRegistry,
        event: wl_registry::Event,
        (): &(),
        _: &Connection,
        handle: &QueueHandle<Self>,
    ) {
        if let wl_registry::Event::Global {
            name, interface, ..
        } = event
            && interface == WpSecurityContextManagerV1::interface().name
            && heard.manager.is_none()
        {
            heard.manager = Some(registry.bind(name, VERSION, handle, ()));
        }
    }
}

impl Dispatch<WlCallback, Answer> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlCallback,
        _: <WlCallback as Proxy>::Event,
        answer: &Answer,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match answer {
            Answer::Globals => heard.complete = true,
            Answer::Context(number) => heard.confirmed = heard.confirmed.max(*number),
        }
    }
}

delegate_noop!(Heard: WpSecurityContextManagerV1);
delegate_noop!(Heard: WpSecurityContextV1);
