//! The event loop: clients, the listening socket, the program and signals.

pub mod child;
pub mod listen;
mod session;

use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use calloop::generic::Generic;
use calloop::signals::{Signal, Signals};
use calloop::{EventLoop, Interest, LoopHandle, Mode, PostAction, RegistrationToken};

use crate::chain::Chain;
use crate::conn::Host;
use child::Program;
use listen::Listener;
use session::Sessions;

/// Clients served at a time. Each costs four descriptors and up to a few
/// megabytes; a guest's 2047 ids of the device allow no more than about this
/// many with their memory.
const MAX_CLIENTS: usize = 512;

/// Clients accepted before the others have their turn.
const ACCEPTS_PER_TURN: usize = 16;

/// How long to wait before accepting again when descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Signals that ask us to end, and are passed on to the program.
const ENDING: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// What to serve.
#[derive(Debug)]
pub struct Plan {
    /// Where clients' messages go.
    pub host: Rc<dyn Host>,
    /// Clients are accepted here.
    pub listener: Option<Listener>,
    /// Clients that are already connected.
    pub clients: Vec<UnixStream>,
    /// Go on when the program has ended, as long as there are clients.
    pub no_exit_with_child: bool,
    /// Hide `wl_surface.damage_buffer` from clients.
    pub no_damage_buffer: bool,
    /// Said to the service manager when ready.
    pub ready: Option<String>,
}

/// A loop that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Setting it up failed.
    #[error("cannot set up the event loop")]
    Setup(#[source] calloop::Error),
    /// Waiting for events failed.
    #[error("cannot wait for events")]
    Wait(#[source] calloop::Error),
    /// The first client, for which alone we are here, cannot be served.
    #[error("cannot connect to the host")]
    Connect(#[source] io::Error),
}

/// The signals that [`serve`] handles, blocked from now on.
///
/// To be called before anything starts a thread, or that thread would take the
/// signals in the usual, deadly way.
///
/// # Errors
/// Whatever `signalfd` gives.
pub fn block_signals() -> io::Result<Signals> {
    let signals = [&ENDING[..], &[Signal::SIGCHLD]].concat();
    Signals::new(&signals).map_err(io::Error::other)
}

/// Serves until there is nothing left to serve, and returns the exit status.
///
/// # Errors
/// [`ServeError`].
pub fn serve(
    plan: Plan,
    signals: Signals,
    start: impl FnOnce() -> Option<Program>,
) -> Result<i32, ServeError> {
    let setup = |error| ServeError::Setup(error);
    let mut event_loop = EventLoop::try_new().map_err(setup)?;
    let handle = event_loop.handle();
    let mut server = Server {
        sessions: Sessions::new(handle.clone(), Rc::clone(&plan.host)),
        handle: handle.clone(),
        listener: None,
        program: None,
        no_exit_with_child: plan.no_exit_with_child,
        ready: plan.ready,
        program_status: None,
        exit: None,
    };
    server.sessions.no_damage_buffer = plan.no_damage_buffer;
    handle
        .insert_source(signals, |event, (), server: &mut Server| {
            server.signal(event.signal())
        })
        .map_err(|error| setup(error.error))?;
    watch_host(&handle, &plan.host).map_err(setup)?;
    for client in plan.clients {
        server.sessions.add(client).map_err(ServeError::Connect)?;
    }
    if let Some(listener) = plan.listener {
        server.listen(Rc::new(listener)).map_err(setup)?;
    }
    server.program = start();
    if !server.no_exit_with_child {
        server.notify_ready();
    }
    server.look_after_program();
    while server.exit.is_none() {
        let timeout = server.sessions.have_work().then_some(Duration::ZERO);
        event_loop
            .dispatch(timeout, &mut server)
            .map_err(ServeError::Wait)?;
        server.sessions.settle();
        server.check_done();
    }
    Ok(server.exit.unwrap_or_default())
}

/// Watches what tells that something has arrived for any connection.
fn watch_host(handle: &LoopHandle<'static, Server>, host: &Rc<dyn Host>) -> calloop::Result<()> {
    let Some(fd) = host.event_fd() else {
        return Ok(());
    };
    let source = Generic::new(fd.try_clone_to_owned()?, Interest::READ, Mode::Level);
    let host = Rc::clone(host);
    let inserted = handle.insert_source(source, move |_, _, server: &mut Server| {
        let result = host.dispatch();
        server.sessions.host_dispatched();
        Ok(match result {
            Ok(()) => PostAction::Continue,
            Err(error) => {
                // Every connection has hung up and ends by itself.
                tracing::error!(%error, "the device is gone");
                PostAction::Remove
            }
        })
    });
    inserted.map(drop).map_err(|error| error.error)
}

#[derive(Debug)]
struct Server {
    sessions: Sessions,
    handle: LoopHandle<'static, Self>,
    listener: Option<(Rc<Listener>, RegistrationToken)>,
    program: Option<Program>,
    no_exit_with_child: bool,
    ready: Option<String>,
    program_status: Option<i32>,
    exit: Option<i32>,
}

impl session::Owner for Server {
    fn sessions(&mut self) -> &mut Sessions {
        &mut self.sessions
    }
}

impl Server {
    fn listen(&mut self, listener: Rc<Listener>) -> calloop::Result<()> {
        let source = Generic::new(Rc::clone(&listener), Interest::READ, Mode::Level);
        let token = self
            .handle
            .insert_source(source, |_, listener, server: &mut Self| {
                server.accept(listener);
                Ok(PostAction::Continue)
            });
        self.listener = Some((listener, token.map_err(|error| error.error)?));
        Ok(())
    }

    fn accept(&mut self, listener: &Listener) {
        for _ in 0..ACCEPTS_PER_TURN {
            if self.sessions.len() >= MAX_CLIENTS {
                tracing::warn!(clients = MAX_CLIENTS, "too many clients, let others wait");
                self.pause_accepting();
                return;
            }
            let client = match listener.accept() {
                Ok(client) => client,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a client now");
                    self.pause_accepting();
                    return;
                }
            };
            if let Err(error) = self.sessions.add(client) {
                tracing::warn!("cannot connect a client to the host: {}", Chain(&error));
            }
        }
    }

    /// Stops watching the listening socket for a while: it stays readable, and
    /// the loop would spin.
    fn pause_accepting(&mut self) {
        let Some((_, token)) = &self.listener else {
            return;
        };
        if let Err(error) = self.handle.disable(token) {
            tracing::error!(%error, "cannot stop watching the listening socket");
            return;
        }
        let timer = calloop::timer::Timer::from_duration(ACCEPT_PAUSE);
        let resumed = self.handle.insert_source(timer, |_, (), server| {
            if let Some((_, token)) = &server.listener
                && let Err(error) = server.handle.enable(token)
            {
                tracing::error!(%error, "cannot watch the listening socket again");
            }
            calloop::timer::TimeoutAction::Drop
        });
        if let Err(error) = resumed {
            tracing::error!(%error, "cannot wait to accept again");
        }
    }

    fn signal(&mut self, signal: Signal) {
        if signal == Signal::SIGCHLD {
            self.look_after_program();
        } else if let Some(program) = &self.program {
            // Its end will be ours, with its status.
            program.signal(signal as i32);
            self.no_exit_with_child = false;
        } else {
            tracing::info!(?signal, "end as asked");
            self.exit = Some(self.program_status.unwrap_or(0));
        }
    }

    fn look_after_program(&mut self) {
        let Some(program) = &mut self.program else {
            return;
        };
        let status = match program.poll() {
            Ok(None) => return,
            Ok(Some(status)) => status,
            Err(error) => {
                tracing::error!(%error, "cannot learn how the program ended");
                1
            }
        };
        tracing::debug!(status, "the program ended");
        self.program = None;
        self.program_status = Some(status);
        if self.no_exit_with_child {
            self.notify_ready();
        } else {
            self.exit = Some(status);
        }
    }

    /// Without a listening socket, nothing more can come once the program has
    /// ended and the last connection is closed.
    fn check_done(&mut self) {
        if self.exit.is_none()
            && self.listener.is_none()
            && self.program.is_none()
            && self.sessions.is_empty()
        {
            self.exit = Some(self.program_status.unwrap_or(0));
        }
    }

    fn notify_ready(&mut self) {
        let Some(state) = self.ready.take() else {
            return;
        };
        if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Custom(&state)]) {
            tracing::warn!(%error, "cannot notify the service manager");
        }
    }
}
