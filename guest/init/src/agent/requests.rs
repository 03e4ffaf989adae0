//! Carrying requests out.

use calloop::{Interest, PostAction};
use guest_control::{Event, MAX_LINE_BYTES, Request, Stream};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use super::lines::TooLong;
use super::program::{Flushed, Input, InputFull, Output, Program};
use super::{Agent, Order};
use crate::kmsg::KernelLog;
use crate::signals::{by_number, signal_session};
use crate::spawn::{Spawn, SpawnError};

/// Programs at a time: each may hold three pipes and an event's worth of output here.
const MAX_PROGRAMS: usize = 256;

/// Longest text of a failure, in characters: it may quote the request, which is as long as a line can be.
const MAX_MESSAGE: usize = 1024;

/// Why a request could not be carried out.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("a compositor VM runs nothing else, unless its image is a debug one")]
    Forbidden,
    #[error("this number is in use")]
    InUse,
    #[error("{MAX_PROGRAMS} programs run already")]
    TooMany,
    #[error("no such program runs")]
    Unknown,
    #[error("the input of this program is closed")]
    InputClosed,
    #[error(transparent)]
    InputFull(#[from] InputFull),
    #[error("no signal {0}")]
    NoSignal(i32),
    #[error("the signal could not be sent")]
    Signal(#[source] Errno),
    #[error("cannot make pipes")]
    Pipes(#[source] Errno),
    #[error("cannot watch the program's input")]
    Watch(#[source] calloop::Error),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("the kernel's log is being sent already")]
    LogInProgress,
    #[error("cannot open the kernel's log")]
    Log(#[source] std::io::Error),
}

impl Agent {
    /// Takes a line of the host, whatever it is.
    pub(super) fn take_line(&mut self, line: Result<&[u8], TooLong>) {
        let Ok(line) = line else {
            return self.fail(None, format!("a line of more than {MAX_LINE_BYTES} bytes"));
        };
        match serde_json::from_slice(line) {
            Ok(request) => self.take_request(request),
            Err(error) => self.fail(None, format!("not a request: {error}")),
        }
    }

    fn take_request(&mut self, request: Request) {
        let (id, result) = match request {
            Request::Run {
                id,
                argv,
                env,
                root,
            } => (Some(id), self.run(id, &argv, env, root)),
            Request::Input { id, text } => (Some(id), self.input(id, |input| input.push(&text))),
            Request::EndOfInput { id } => (
                Some(id),
                self.input(id, |input| {
                    input.end();
                    Ok(())
                }),
            ),
            Request::Signal { id, signal } => (Some(id), self.signal(id, signal)),
            Request::State {} => {
                for event in self.state() {
                    self.outbox.push(&event);
                }
                (None, Ok(()))
            }
            Request::KernelLog {} => (None, self.start_kernel_log()),
            Request::Halt {} => {
                self.order = Some(Order::Halt);
                (None, Ok(()))
            }
        };
        if let Err(error) = result {
            self.fail(id, chain(&error));
        }
    }

    fn fail(&mut self, id: Option<u32>, mut message: String) {
        if message.len() > MAX_MESSAGE {
            message = message.chars().take(MAX_MESSAGE).collect();
        }
        tracing::debug!(?id, "{message}");
        self.outbox.push(&Event::Failed { id, message });
    }

    fn run(
        &mut self,
        id: u32,
        argv: &[String],
        env: Vec<(String, String)>,
        root: bool,
    ) -> Result<(), RequestError> {
        if self.policy.alone {
            return Err(RequestError::Forbidden);
        }
        if self.programs.contains_key(&id) {
            return Err(RequestError::InUse);
        }
        if self.programs.len() >= MAX_PROGRAMS {
            return Err(RequestError::TooMany);
        }
        let make = || pipe2(OFlag::O_CLOEXEC).map_err(RequestError::Pipes);
        let (stdin, input) = make()?;
        let (output, stdout) = make()?;
        let (errors, stderr) = make()?;
        for ours in [&input, &output, &errors] {
            fcntl(ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(RequestError::Pipes)?;
        }
        let session = &self.policy.session;
        let mut all = session.env(root);
        all.extend(env);
        let pid = Spawn {
            argv,
            env: all,
            identity: session.identity(root),
            stdio: [stdin, stdout, stderr],
            listen: None,
            limits: &[],
            confined: false,
            terminal: false,
        }
        .start()?;
        let mut program = Program {
            pid,
            input: Some(Input::new(input)),
            outputs: Vec::new(),
            status: None,
        };
        program.outputs.push(Output::new(Stream::Stdout, output));
        program.outputs.push(Output::new(Stream::Stderr, errors));
        self.programs.insert(id, program);
        self.outbox.push(&Event::Started {
            id,
            pid: pid.as_raw().cast_unsigned(),
        });
        self.watch_outputs();
        Ok(())
    }

    fn running(&mut self, id: u32) -> Result<&mut Program, RequestError> {
        let program = self
            .programs
            .get_mut(&id)
            .filter(|program| program.status.is_none());
        program.ok_or(RequestError::Unknown)
    }

    fn input(
        &mut self,
        id: u32,
        change: impl FnOnce(&mut Input) -> Result<(), InputFull>,
    ) -> Result<(), RequestError> {
        let input = self.running(id)?.input.as_mut();
        let input = input.ok_or(RequestError::InputClosed)?;
        change(input)?;
        if input.token.is_some() {
            return Ok(());
        }
        let pipe = input.pipe();
        if self.flush_input(id) == PostAction::Remove {
            return Ok(());
        }
        let token = self
            .watch_pipe(pipe, Interest::WRITE, move |agent| agent.flush_input(id))
            .map_err(RequestError::Watch)?;
        self.running(id)?
            .input
            .as_mut()
            .map(|input| input.token.insert(token));
        Ok(())
    }

    /// Writes what a program takes of its input, and says whether there is more.
    fn flush_input(&mut self, id: u32) -> PostAction {
        let Some(program) = self.programs.get_mut(&id) else {
            return PostAction::Remove;
        };
        let Some(input) = &mut program.input else {
            return PostAction::Remove;
        };
        match input.flush() {
            Flushed::Waiting => return PostAction::Continue,
            Flushed::Empty => input.token = None,
            Flushed::Over => program.input = None,
        }
        PostAction::Remove
    }

    fn signal(&mut self, id: u32, number: i32) -> Result<(), RequestError> {
        let signal = by_number(number).map_err(|_| RequestError::NoSignal(number))?;
        let pid = self.running(id)?.pid;
        signal_session(pid, signal).map_err(RequestError::Signal)
    }

    fn start_kernel_log(&mut self) -> Result<(), RequestError> {
        if self.log.is_some() {
            return Err(RequestError::LogInProgress);
        }
        self.log = Some(KernelLog::open().map_err(RequestError::Log)?);
        Ok(())
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
