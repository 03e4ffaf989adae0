//! One VM: its account, its rate, its connections.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use calloop::{Interest, LoopHandle, RegistrationToken};
use virtio_wl::host::ledger::{Account, Ledger};
use virtio_wl::memfd_request::{MemfdRequest, MemfdRequestError, MemfdStatus};

use super::Server;
use super::connection::{Connection, Io, read, send};
use super::stream::{Next, Stream};
use crate::bucket::Bucket;
use crate::config::VmConfig;
use crate::service::{Refusal, provide};
use crate::session::{Reply, Session, State};

#[derive(Debug)]
pub(super) struct Vm {
    pub(super) config: VmConfig,
    pub(super) listener: RegistrationToken,
    pub(super) account: Account,
    bucket: Bucket,
    connections: HashMap<u64, Connection>,
    /// Connections with a whole request that wait for the rate, in order.
    parked: VecDeque<u64>,
    timer: bool,
    /// What has been warned of and not got better since: a VM must not fill the log.
    over_quota: bool,
    over_connections: bool,
}

impl Vm {
    pub(super) fn new(config: VmConfig, account: Account, listener: RegistrationToken) -> Self {
        Self {
            bucket: Bucket::new(config.max_rate, Instant::now()),
            config,
            listener,
            account,
            connections: HashMap::new(),
            parked: VecDeque::new(),
            timer: false,
            over_quota: false,
            over_connections: false,
        }
    }

    /// New limits, for what is asked from now on.
    pub(super) fn reconfigure(&mut self, config: VmConfig) {
        self.account.set_limits(config.limits);
        if config.max_rate != self.config.max_rate {
            self.bucket = Bucket::new(config.max_rate, Instant::now());
        }
        self.config = config;
    }

    /// Sources of all connections, when the VM goes.
    pub(super) fn sources(&self) -> impl Iterator<Item = RegistrationToken> {
        self.connections
            .values()
            .map(|connection| connection.source)
    }

    pub(super) fn has_room(&mut self) -> bool {
        let max = self.config.max_connections as usize;
        let room = self.connections.len() < max;
        if !room && !self.over_connections {
            tracing::warn!(vm = %self.config.name, max, "closing connections beyond the limit");
        }
        self.over_connections = !room;
        room
    }

    pub(super) fn connect(
        &mut self,
        id: u64,
        stream: UnixStream,
        register: impl FnOnce(Stream) -> anyhow::Result<RegistrationToken>,
    ) -> anyhow::Result<()> {
        let stream = Rc::new(stream);
        let interest = Rc::new(Cell::new(Interest::READ));
        let source = register(Stream::new(stream.clone(), interest.clone()))?;
        let connection = Connection {
            stream,
            session: Session::new(),
            interest,
            source,
            granted: false,
        };
        self.connections.insert(id, connection);
        Ok(())
    }

    /// Takes a connection as far as it goes without waiting, at most to the end of one
    /// request.
    pub(super) fn advance(&mut self, id: u64, ledger: &mut Ledger, now: Instant) -> Next {
        let mut served = false;
        loop {
            let Some(connection) = self.connections.get_mut(&id) else {
                return Next::Close;
            };
            let stream = &connection.stream;
            match connection.session.state() {
                State::Receive(_) if served => return Next::Read,
                State::Receive(buffer) => match read(stream, buffer) {
                    Io::Done(count) => connection.session.received(count),
                    Io::Blocked => return Next::Read,
                    Io::Ended => return self.close(id),
                },
                State::Send(reply) => match send(stream, reply) {
                    Io::Done(_) => {
                        connection.session.sent();
                        served = true;
                    }
                    Io::Blocked => return Next::Write,
                    Io::Ended => return self.close(id),
                },
                State::Decide(request) => {
                    // Those who wait already go first.
                    let first = self.parked.is_empty();
                    let granted = connection.granted || first && self.bucket.take(now).is_ok();
                    if !granted {
                        self.parked.push_back(id);
                        return Next::Park;
                    }
                    let reply = self.decide(request, ledger);
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.granted = false;
                        connection.session.answer(reply);
                    }
                }
            }
        }
    }

    fn close(&mut self, id: u64) -> Next {
        if let Some(connection) = self.connections.remove(&id)
            && connection.session.is_midway()
        {
            tracing::debug!(vm = %self.config.name, "peer left in the middle of a request");
        }
        Next::Close
    }

    fn decide(
        &mut self,
        request: Result<MemfdRequest, MemfdRequestError>,
        ledger: &mut Ledger,
    ) -> Reply {
        let vm = &self.config.name;
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(%vm, %error, "malformed request");
                return MemfdStatus::INVALID.into();
            }
        };
        let MemfdRequest { size, label } = request;
        match provide(size, &self.account, ledger) {
            Ok(reply) => {
                tracing::debug!(%vm, size, %label, "memory handed out");
                self.over_quota = false;
                reply
            }
            Err(refusal) => {
                let error: &dyn std::error::Error = &refusal;
                match refusal {
                    Refusal::Quota(_) if self.over_quota => {
                        tracing::debug!(%vm, size, %label, error, "refused");
                    }
                    Refusal::Quota(_) => {
                        tracing::warn!(%vm, size, %label, error, "refused");
                        self.over_quota = true;
                    }
                    _ => tracing::warn!(%vm, size, error, "refused"),
                }
                refusal.status().into()
            }
        }
    }

    /// How long until the first parked connection's turn, if no timer runs for it yet.
    pub(super) fn wants_timer(&mut self, now: Instant) -> Option<Duration> {
        let wanted = !self.timer && !self.parked.is_empty();
        self.timer |= wanted;
        wanted.then(|| self.bucket.wait(now))
    }

    /// Lets parked connections go on as far as the rate allows; how long until the next
    /// one's turn.
    pub(super) fn unpark(
        &mut self,
        handle: &LoopHandle<'static, Server>,
        now: Instant,
    ) -> Option<Duration> {
        while let Some(id) = self.parked.front() {
            if let Some(connection) = self.connections.get_mut(id) {
                if let Err(wait) = self.bucket.take(now) {
                    return Some(wait);
                }
                connection.granted = true;
                // It has a request to answer: room to write is what wakes it.
                connection.interest.set(Interest::WRITE);
                if let Err(error) = handle.enable(&connection.source) {
                    tracing::error!(%error, "cannot wake a connection");
                }
            }
            self.parked.pop_front();
        }
        self.timer = false;
        None
    }
}
