//! The connections of all clients in the event loop.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use calloop::generic::Generic;
use calloop::{Dispatcher, Interest, LoopHandle, Mode, PostAction, RegistrationToken};

use super::Server;
use crate::chain::Chain;
use crate::conn::{Connection, End, Host, Wants};

/// Connections up to which all are asked for news after the host's device was
/// dispatched, instead of waiting for the event loop to say which have some.
/// Asking costs about as much as one of them being told.
const ASK_EACH: usize = 8;

/// Whoever has the [`Sessions`]; the event loop passes it to every callback.
pub(super) trait Owner {
    fn sessions(&mut self) -> &mut Sessions;
}

/// A descriptor in the event loop.
struct Watch {
    source: Dispatcher<'static, Generic<OwnedFd>, Server>,
    token: RegistrationToken,
    /// What is waited for: `(readable, writable)`.
    wanted: (bool, bool),
}

/// All connections.
pub(super) struct Sessions {
    handle: LoopHandle<'static, Server>,
    host: Rc<dyn Host>,
    /// Hide `wl_surface.damage_buffer` from clients.
    pub(super) no_damage_buffer: bool,
    sessions: Vec<Option<Session>>,
    count: usize,
    /// Those that something happened to in this turn.
    touched: Vec<usize>,
}

/// One connection and what is watched for it.
struct Session {
    connection: Connection,
    client: Watch,
    host: Watch,
    /// Whether it is in `touched`.
    touched: bool,
    /// How it ended, seen while receiving.
    end: Option<End>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = self
            .sessions
            .iter()
            .flatten()
            .map(|session| &session.connection);
        f.debug_list().entries(connections).finish()
    }
}

impl Sessions {
    pub(super) fn new(handle: LoopHandle<'static, Server>, host: Rc<dyn Host>) -> Self {
        Self {
            handle,
            host,
            no_damage_buffer: false,
            sessions: Vec::new(),
            count: 0,
            touched: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a turn is due although nothing is to be waited for.
    pub(super) fn have_work(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Connects a client to the host and serves it from now on.
    pub(super) fn add(&mut self, client: UnixStream) -> io::Result<()> {
        let mut connection = Connection::new(client, &*self.host)?;
        if self.no_damage_buffer {
            connection.hide_damage_buffer();
        }
        let key = self
            .sessions
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.sessions.len());
        let client = self.watch(connection.client_fd(), move |sessions, ready| {
            if ready.0 {
                sessions.receive(key, Connection::client_readable);
            }
            sessions.touch(key);
        })?;
        let host = self.watch(connection.host_fd(), move |sessions, ready| {
            if ready.0 {
                sessions.receive(key, Connection::host_readable);
            }
            if ready.1
                && let Some(session) = &mut sessions.sessions[key]
            {
                session.connection.host_writable();
            }
            sessions.touch(key);
        });
        let host = match host {
            Ok(host) => host,
            Err(error) => {
                self.handle.remove(client.token);
                return Err(error);
            }
        };
        let session = Session {
            connection,
            client,
            host,
            touched: false,
            end: None,
        };
        if key == self.sessions.len() {
            self.sessions.push(None);
        }
        self.sessions[key] = Some(session);
        self.count += 1;
        Ok(())
    }

    /// Watches a duplicate of `fd`, so that the connection keeps its own.
    fn watch(
        &self,
        fd: impl AsFd,
        mut ready: impl FnMut(&mut Self, (bool, bool)) + 'static,
    ) -> io::Result<Watch> {
        let fd = fd.as_fd().try_clone_to_owned()?;
        let source = Generic::new(fd, Interest::READ, Mode::Level);
        let dispatcher = Dispatcher::new(source, move |readiness, _, server: &mut Server| {
            // An error or a hang-up is learnt by receiving.
            let readable = readiness.readable || readiness.error;
            ready(server.sessions(), (readable, readiness.writable));
            Ok(PostAction::Continue)
        });
        let token = self
            .handle
            .register_dispatcher(dispatcher.clone())
            .map_err(io::Error::other)?;
        Ok(Watch {
            source: dispatcher,
            token,
            wanted: (true, false),
        })
    }

    /// Something has arrived for some connections, and there may be room again
    /// for others.
    pub(super) fn host_dispatched(&mut self) {
        // With few connections it is cheaper to ask each than to wait for the
        // event loop to tell which.
        let ask = self.count <= ASK_EACH;
        for key in 0..self.sessions.len() {
            let Some(session) = &mut self.sessions[key] else {
                continue;
            };
            if session.connection.host_is_full() {
                session.connection.host_writable();
            } else if !ask {
                continue;
            }
            if ask {
                self.receive(key, Connection::host_readable);
            }
            self.touch(key);
        }
    }

    fn receive(&mut self, key: usize, receive: impl FnOnce(&mut Connection) -> Result<(), End>) {
        let Some(session) = &mut self.sessions[key] else {
            return;
        };
        if session.end.is_none()
            && let Err(end) = receive(&mut session.connection)
        {
            session.end = Some(end);
        }
    }

    fn touch(&mut self, key: usize) {
        if let Some(session) = &mut self.sessions[key]
            && !std::mem::replace(&mut session.touched, true)
        {
            self.touched.push(key);
        }
    }

    /// Ends a turn: every connection that something happened to handles what
    /// was received, within its share, and sends what is waiting.
    pub(super) fn settle(&mut self) {
        for key in std::mem::take(&mut self.touched) {
            let Some(session) = &mut self.sessions[key] else {
                continue;
            };
            session.touched = false;
            let turn = session.connection.turn();
            let result = match session.end.take() {
                Some(end) => Err(end),
                None => turn,
            };
            match result {
                Ok(wants) => {
                    session.wait_for(wants, &self.handle);
                    if wants.turn {
                        self.touch(key);
                    }
                }
                Err(end) => self.remove(key, &end),
            }
        }
    }

    fn remove(&mut self, key: usize, end: &End) {
        let Some(session) = self.sessions[key].take() else {
            return;
        };
        match end {
            End::Client | End::Failed => tracing::debug!(%end, "connection closed"),
            _ => tracing::warn!("connection closed: {}", Chain(end)),
        }
        self.handle.remove(session.client.token);
        self.handle.remove(session.host.token);
        self.count -= 1;
    }
}

impl Session {
    fn wait_for(&mut self, wants: Wants, handle: &LoopHandle<'static, Server>) {
        self.client
            .want((wants.client_read, wants.client_write), handle);
        self.host.want((true, wants.host_write), handle);
    }
}

impl Watch {
    fn want(&mut self, wanted: (bool, bool), handle: &LoopHandle<'static, Server>) {
        let before = std::mem::replace(&mut self.wanted, wanted);
        if before == wanted {
            return;
        }
        let nothing = (false, false);
        self.source.as_source_mut().interest = Interest {
            readable: wanted.0,
            writable: wanted.1,
        };
        let changed = match (before, wanted) {
            // A hang-up is reported whatever is waited for, again and again.
            (_, (false, false)) => handle.disable(&self.token),
            (before, _) if before == nothing => handle.enable(&self.token),
            _ => handle.update(&self.token),
        };
        if let Err(error) = changed {
            tracing::error!(%error, "cannot change what is watched");
        }
    }
}
