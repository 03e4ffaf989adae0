//! A program that runs in a guest.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, bail};
use guest_control::{Ended, Request};
use nix::sys::signal::Signal;

use super::guest::Guest;
use crate::wait::{self, Deadline};

/// A program to be run in a guest; see [`Vm::command`](super::Vm::command).
#[derive(Debug)]
pub struct GuestCommand {
    guest: Rc<RefCell<Guest>>,
    argv: Vec<String>,
    env: Vec<(String, String)>,
    root: bool,
}

impl GuestCommand {
    pub(super) fn new<S: Into<String>>(
        guest: Rc<RefCell<Guest>>,
        argv: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            guest,
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            root: false,
        }
    }

    /// One variable of the environment, besides those of the session.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// As root instead of as the session's user.
    pub fn root(mut self) -> Self {
        self.root = true;
        self
    }

    /// Starts it, and waits until it runs.
    ///
    /// # Errors
    /// When the guest refuses or does not answer.
    pub fn start(self) -> Result<Program> {
        let deadline = Deadline::after(super::STEP);
        let id = self
            .guest
            .borrow_mut()
            .run(self.argv, self.env, self.root, deadline)?;
        Ok(Program {
            guest: self.guest,
            id,
        })
    }
}

/// A program of a guest. Dropping it leaves it running; it ends with its VM.
#[derive(Debug)]
pub struct Program {
    guest: Rc<RefCell<Guest>>,
    id: u32,
}

/// What a program has written.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Program {
    /// Its process id in the guest.
    ///
    /// # Errors
    /// Never for a program that was started.
    pub fn pid(&self) -> Result<u32> {
        let mut guest = self.guest.borrow_mut();
        Ok(guest.program(self.id)?.pid.unwrap_or_default())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait(&self) -> Result<Ended> {
        self.wait_within(super::STEP)
    }

    /// Waits at most so long for its end.
    ///
    /// # Errors
    /// When it does not end in time; with what it has written.
    pub fn wait_within(&self, limit: Duration) -> Result<Ended> {
        let mut guest = self.guest.borrow_mut();
        let waited = guest.until("a program to end", Deadline::after(limit), |guest| {
            Ok(guest.program(self.id)?.ended)
        });
        drop(guest);
        waited.map_err(|error| error.context(self.story()))
    }

    /// Waits for its end with status 0; what it has written.
    ///
    /// # Errors
    /// When it ends in another way; with what it has written.
    pub fn success(&self) -> Result<Output> {
        let status = self.wait()?;
        if !status.success() {
            bail!("{status:?}: {}", self.story());
        }
        Ok(self.output())
    }

    /// What it has written so far, as far as it has been heard: complete once it has ended.
    pub fn output(&self) -> Output {
        let mut guest = self.guest.borrow_mut();
        let state = guest.program(self.id);
        state.map_or_else(
            |_| Output::default(),
            |state| Output {
                stdout: state.stdout.clone(),
                stderr: state.stderr.clone(),
            },
        )
    }

    /// The next line of its standard output.
    ///
    /// # Errors
    /// When it ends before, or none comes in time.
    pub fn line(&self) -> Result<String> {
        let mut guest = self.guest.borrow_mut();
        let line = guest.until("a line", Deadline::after(super::STEP), |guest| {
            let state = guest.program(self.id)?;
            let line = state.line();
            if line.is_none()
                && let Some(status) = state.ended
            {
                bail!("no further line: {status:?}");
            }
            Ok(line)
        });
        drop(guest);
        line.map_err(|error| error.context(self.story()))
    }

    /// The next line of its standard output, if one has come by now.
    ///
    /// # Errors
    /// When the guest speaks nonsense.
    pub fn waiting_line(&self) -> Result<Option<String>> {
        let mut guest = self.guest.borrow_mut();
        if wait::is_readable(guest.fd())? {
            guest.take_waiting()?;
        }
        Ok(guest.program(self.id)?.line())
    }

    /// Gives it text on its standard input.
    ///
    /// # Errors
    /// When the guest is gone.
    pub fn input(&self, text: impl Into<String>) -> Result<()> {
        self.say(&Request::Input {
            id: self.id,
            text: text.into(),
        })
    }

    /// Ends its standard input.
    ///
    /// # Errors
    /// When the guest is gone.
    pub fn end_input(&self) -> Result<()> {
        self.say(&Request::EndOfInput { id: self.id })
    }

    /// Sends a signal to it and all it started.
    ///
    /// # Errors
    /// When the guest is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.say(&Request::Signal {
            id: self.id,
            signal: signal as i32,
        })
    }

    /// SIGTERM, then waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&self) -> Result<Ended> {
        self.signal(Signal::SIGTERM)?;
        self.wait()
    }

    fn say(&self, request: &Request) -> Result<()> {
        self.guest.borrow_mut().say(request)
    }

    /// Whether it has not been heard to have ended.
    ///
    /// # Errors
    /// Never for a program that was started.
    pub fn is_running(&self) -> Result<bool> {
        let mut guest = self.guest.borrow_mut();
        Ok(guest.program(self.id)?.ended.is_none())
    }

    /// Command and output, for messages.
    pub fn story(&self) -> String {
        let mut guest = self.guest.borrow_mut();
        guest.program(self.id).map_or_else(
            |_| String::new(),
            |state| {
                let (out, err) = (state.stdout.trim_end(), state.stderr.trim_end());
                format!("{}\n{out}\n{err}", state.argv.join(" "))
            },
        )
    }
}
