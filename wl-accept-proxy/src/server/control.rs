//! The connection to the device's control socket, made again whenever it is lost.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use calloop::generic::Generic;
use calloop::{Interest, Mode, PostAction, RegistrationToken};
use virtio_wl::host::control::{Client, ControlError, Request};

use super::{Proxy, insert};

/// Waits between attempts to reach the device: from the first, doubling, to the last.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How long the device may take for an answer. It answers from its main loop at once, so
/// one that does not is stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers taken before others have their turn.
const ANSWERS_PER_TURN: usize = 64;

#[derive(Debug)]
pub(super) struct Link {
    connection: Option<Connection>,
    /// Next attempt, and the wait after it, while there is no connection.
    next_try: Instant,
    wait: Duration,
    /// The log has been told that the device is away.
    said_away: bool,
}

#[derive(Debug)]
struct Connection {
    client: Client,
    token: RegistrationToken,
    /// Last time an answer came, or the first of the requests due was sent.
    progress: Instant,
    /// It has answered at least once.
    answered: bool,
}

impl Link {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            connection: None,
            next_try: now,
            wait: FIRST_WAIT,
            said_away: false,
        }
    }

    pub(super) fn deadline(&self, awaits_answer: bool) -> Option<Instant> {
        match &self.connection {
            None => Some(self.next_try),
            Some(connection) if awaits_answer => Some(connection.progress + ANSWER_TIMEOUT),
            Some(_) => None,
        }
    }
}

impl Proxy {
    /// Connects when it is time to, and leaves a device that does not answer.
    pub(super) fn maintain_link(&mut self, now: Instant) {
        let deadline = self.link.deadline(self.desk.awaits_answer());
        if deadline.is_none_or(|at| at > now) {
            return;
        }
        if self.link.connection.is_some() {
            self.lose_link(&ControlError::Timeout, now);
            return;
        }
        match self.connect(now) {
            Ok(connection) => {
                self.link.connection = Some(connection);
                self.desk.device_up();
            }
            Err(error) => self.stay_away(&error, now),
        }
    }

    fn connect(&mut self, now: Instant) -> anyhow::Result<Connection> {
        let client = Client::connect(&self.compositor.control)?;
        // The loop polls a descriptor of its own, so that the client can be used anywhere.
        let polled = client.as_fd().try_clone_to_owned()?;
        let source = Generic::new(polled, Interest::READ, Mode::Level);
        let token = insert(&self.handle, source, |_, _, proxy| {
            proxy.take_answers(Instant::now());
            Ok(PostAction::Continue)
        })?;
        Ok(Connection {
            client,
            token,
            progress: now,
            answered: false,
        })
    }

    fn take_answers(&mut self, now: Instant) {
        for _ in 0..ANSWERS_PER_TURN {
            let Some(connection) = &mut self.link.connection else {
                return;
            };
            let result = match connection.client.receive() {
                Ok(None) => return,
                Ok(Some(answer)) => {
                    connection.progress = now;
                    // Only a device that answers is there.
                    self.link.wait = FIRST_WAIT;
                    if !connection.answered {
                        tracing::info!("the compositor's device answers");
                    }
                    connection.answered = true;
                    self.link.said_away = false;
                    self.desk.answer(&answer, now)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                self.lose_link(&error, now);
            }
        }
    }

    pub(super) fn send(
        &mut self,
        request: &Request,
        descriptor: Option<&UnixStream>,
        now: Instant,
    ) {
        let Some(connection) = &mut self.link.connection else {
            return;
        };
        if self.desk.awaits_only_one() {
            connection.progress = now;
        }
        let sent = connection.client.send(request, descriptor.map(AsFd::as_fd));
        if let Err(error) = sent {
            // A device that follows the protocol always has room for what may be due.
            self.lose_link(&error, now);
        }
    }

    /// Gives the connection up; the next attempt is due after a wait.
    pub(super) fn lose_link(&mut self, error: &dyn std::error::Error, now: Instant) {
        if let Some(connection) = self.link.connection.take() {
            self.handle.remove(connection.token);
            self.desk.device_down();
        }
        let error = anyhow::anyhow!("{}", chain(error));
        self.stay_away(&error, now);
    }

    fn stay_away(&mut self, error: &anyhow::Error, now: Instant) {
        if !self.link.said_away {
            self.link.said_away = true;
            tracing::warn!(
                control = %self.compositor.control.display(),
                error = format!("{error:#}"),
                "the compositor's device is away; clients wait until it is back"
            );
        }
        self.link.next_try = now + self.link.wait;
        self.link.wait = (self.link.wait * 2).min(LAST_WAIT);
    }

    /// Forgets the device, without complaint, to meet it (or another one) anew at once.
    pub(super) fn relink(&mut self, now: Instant) {
        if let Some(connection) = self.link.connection.take() {
            self.handle.remove(connection.token);
            self.desk.device_down();
        }
        self.link = Link::new(now);
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
