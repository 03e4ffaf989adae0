//! Does what the host asks for over the control port.
//!
//! `port` is the connection, with `lines` coming in and `outbox` going out; `program` is one running
//! program, with `text` made of its output; `requests` carries requests out. Nothing here waits:
//! what cannot be sent stays in the pipe it came from.

mod lines;
mod outbox;
mod port;
mod program;
mod requests;
mod text;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use calloop::generic::Generic;
use calloop::{Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use guest_control::{Ended, Event, Role, Stream};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use self::outbox::Outbox;
pub(crate) use self::port::Kind;
use self::port::{Arrival, Port};
use self::program::{Chunk, Output, Program};
use crate::init::Init;
use crate::kmsg::KernelLog;
use crate::session::Session;
use crate::signals::signal_session;

/// Reads of the port, or parts of the kernel's log, before everybody else has a turn.
const STEPS_PER_TURN: usize = 16;

/// What the agent is for, and may do.
#[derive(Debug)]
pub(crate) struct Policy {
    /// What the guest is for.
    pub(crate) role: Role,
    /// Nothing may run beside the compositor.
    pub(crate) alone: bool,
    /// As whom programs run.
    pub(crate) session: Session,
}

/// What the agent wants of those above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// End everything and power off.
    Halt,
    /// The host has gone for good.
    Closed,
}

/// The programs of the host, and the connection to it.
#[derive(Debug)]
pub(crate) struct Agent {
    handle: LoopHandle<'static, Init>,
    policy: Policy,
    kernel: String,
    port: Option<Port>,
    outbox: Outbox,
    programs: BTreeMap<u32, Program>,
    log: Option<KernelLog>,
    /// No host is there, not yet or not any more. It is told how things are when it comes.
    absent: bool,
    /// The role's service takes clients.
    service_ready: bool,
    /// Programs' output waits in its pipes.
    paused: bool,
    order: Option<Order>,
}

impl Agent {
    /// An agent without a port yet.
    pub(crate) fn new(handle: LoopHandle<'static, Init>, policy: Policy, kernel: String) -> Self {
        Self {
            handle,
            policy,
            kernel,
            port: None,
            outbox: Outbox::default(),
            programs: BTreeMap::new(),
            log: None,
            absent: true,
            service_ready: false,
            paused: false,
            order: None,
        }
    }

    /// What the guest is for.
    pub(crate) fn role(&self) -> Role {
        self.policy.role
    }

    /// What programs are given.
    pub(crate) fn session(&self) -> &Session {
        &self.policy.session
    }

    /// Sets a variable for programs that are started from now on.
    pub(crate) fn set_variable(&mut self, name: &str, value: &str) {
        self.policy.session.set_variable(name, value);
    }

    /// Whether there is a port already.
    pub(crate) fn has_port(&self) -> bool {
        self.port.is_some()
    }

    /// Serves the host on `file`, which does not block.
    ///
    /// # Errors
    /// Whatever watching it gives.
    pub(crate) fn attach(&mut self, file: OwnedFd, kind: Kind) -> calloop::Result<()> {
        let file = Rc::new(file);
        // Edges, as a port without a host would be a hang-up all the time.
        let source = Generic::new(Rc::clone(&file), Interest::BOTH, Mode::Edge);
        let token = self.handle.insert_source(source, |_, _, init: &mut Init| {
            if let Some(port) = &mut init.agent.port {
                port.readable = true;
            }
            Ok(PostAction::Continue)
        })?;
        self.port = Some(Port::new(file, kind, token));
        Ok(())
    }

    /// The role's service takes clients.
    pub(crate) fn service_ready(&mut self) {
        self.service_ready = true;
        if !self.absent {
            self.outbox.push(&Event::Ready {});
        }
    }

    /// The role's service has ended.
    pub(crate) fn service_ended(&mut self, status: Ended) {
        self.service_ready = false;
        if !self.absent {
            self.outbox.push(&Event::ServiceEnded { status });
        }
    }

    /// The last event.
    pub(crate) fn halting(&mut self) {
        self.outbox.push(&Event::Halting {});
        self.flush();
    }

    /// A process has ended; whether it was one of ours.
    pub(crate) fn reaped(&mut self, pid: Pid, status: Ended) -> bool {
        let program = self
            .programs
            .values_mut()
            .find(|program| program.pid == pid && program.status.is_none());
        match program {
            Some(program) => {
                program.close(status);
                true
            }
            None => false,
        }
    }

    /// Sends a signal to all programs.
    pub(crate) fn signal_all(&self, signal: Signal) {
        for program in self
            .programs
            .values()
            .filter(|program| program.status.is_none())
        {
            let _ = signal_session(program.pid, signal);
        }
    }

    /// Whether no program is left, and all there was to say of them has been taken.
    pub(crate) fn is_done(&self) -> bool {
        self.programs.is_empty() && (self.outbox.is_empty() || self.absent || self.port.is_none())
    }

    /// Whether there is something to do that no event will tell.
    pub(crate) fn has_work(&self) -> bool {
        let readable = self.port.as_ref().is_some_and(|port| port.readable);
        let ended = self
            .programs
            .values()
            .any(|program| program.status.is_some());
        !self.outbox.is_full() && (readable || ended || self.log.is_some())
    }

    /// Carries on where there is room again, and says what is asked of others.
    pub(crate) fn settle(&mut self) -> Option<Order> {
        for _ in 0..STEPS_PER_TURN {
            self.flush();
            if !self.has_work() {
                break;
            }
            self.read_port();
            self.tell_ended();
            self.tell_kernel_log();
        }
        self.flush();
        self.pause_or_resume();
        self.order.take()
    }

    fn flush(&mut self) {
        let Some(port) = &self.port else { return };
        if let Err(errno) = self.outbox.flush(|bytes| port.write(bytes)) {
            tracing::warn!("the port cannot be written: {errno}");
            self.closed();
        }
    }

    fn read_port(&mut self) {
        let Some(mut port) = self.port.take_if(|port| port.readable) else {
            return;
        };
        let arrival = port.read(|line| {
            self.greet();
            self.take_line(line);
        });
        self.port = Some(port);
        match arrival {
            Arrival::Closed => self.closed(),
            Arrival::Left => self.absent = true,
            Arrival::Bytes | Arrival::Nothing => self.greet(),
        }
    }

    /// A host is there: if it is new, it gets what every host gets first.
    fn greet(&mut self) {
        if !std::mem::take(&mut self.absent) {
            return;
        }
        let state = self.state();
        self.outbox.new_reader(&state);
    }

    fn state(&self) -> Vec<Event> {
        let mut state = vec![Event::Booted {
            role: self.policy.role,
            kernel: self.kernel.clone(),
        }];
        state.extend(self.service_ready.then_some(Event::Ready {}));
        state
    }

    fn closed(&mut self) {
        if let Some(port) = self.port.take() {
            // Closed for good, so that it can be opened again.
            self.handle.remove(port.token);
        }
        self.order = self.order.or(Some(Order::Closed));
    }

    /// Watches the outputs of programs that are not watched yet, or not any more.
    fn watch_outputs(&mut self) {
        let mut wanted = Vec::new();
        for (&id, program) in &self.programs {
            let unwatched = program
                .outputs
                .iter()
                .filter(|output| output.token.is_none());
            wanted.extend(unwatched.map(|output| (id, output.stream, output.pipe())));
        }
        for (id, stream, pipe) in wanted {
            let result =
                self.watch_pipe(pipe, Interest::READ, move |agent| agent.output(id, stream));
            match result {
                Ok(token) => {
                    if let Some(output) = self.find_output(id, stream) {
                        output.token = Some(token);
                    }
                }
                Err(error) => tracing::error!("cannot watch a program's output: {error}"),
            }
        }
    }

    fn watch_pipe(
        &self,
        pipe: Rc<OwnedFd>,
        interest: Interest,
        mut each: impl FnMut(&mut Self) -> PostAction + 'static,
    ) -> calloop::Result<RegistrationToken> {
        let source = Generic::new(pipe, interest, Mode::Level);
        let inserted = self
            .handle
            .insert_source(source, move |_, _, init: &mut Init| {
                Ok(each(&mut init.agent))
            });
        inserted.map_err(|error| error.error)
    }

    fn find_output(&mut self, id: u32, stream: Stream) -> Option<&mut Output> {
        let outputs = &mut self.programs.get_mut(&id)?.outputs;
        outputs.iter_mut().find(|output| output.stream == stream)
    }

    /// Something can be read from a program.
    fn output(&mut self, id: u32, stream: Stream) -> PostAction {
        let full = self.outbox.is_full();
        let Some(output) = self.find_output(id, stream) else {
            return PostAction::Remove;
        };
        if full {
            output.token = None;
            self.paused = true;
            return PostAction::Remove;
        }
        match output.read() {
            Chunk::Nothing => PostAction::Continue,
            Chunk::Text(text) => {
                tell(&mut self.outbox, id, stream, text);
                PostAction::Continue
            }
            Chunk::End(text) => {
                if let Some(program) = self.programs.get_mut(&id) {
                    program.outputs.retain(|output| output.stream != stream);
                }
                tell(&mut self.outbox, id, stream, text);
                PostAction::Remove
            }
        }
    }

    /// Sends what programs wrote before they ended, and then that they have ended.
    fn tell_ended(&mut self) {
        let ended: Vec<u32> = self
            .programs
            .iter()
            .filter(|(_, program)| program.status.is_some())
            .map(|(&id, _)| id)
            .collect();
        for id in ended {
            self.tell_one_ended(id);
        }
    }

    fn tell_one_ended(&mut self, id: u32) {
        let Some(program) = self.programs.get_mut(&id) else {
            return;
        };
        let mut left_behind = Vec::new();
        while let Some(output) = program.outputs.last_mut() {
            if self.outbox.is_full() {
                return;
            }
            match output.read() {
                Chunk::Nothing => return,
                Chunk::Text(text) => tell(&mut self.outbox, id, output.stream, text),
                Chunk::End(text) => {
                    tell(&mut self.outbox, id, output.stream, text);
                    if let Some(output) = program.outputs.pop() {
                        left_behind.push(output.pipe());
                        if let Some(token) = output.token {
                            self.handle.remove(token);
                        }
                    }
                }
            }
        }
        if let Some(program) = self.programs.remove(&id) {
            if let Some(token) = program.input.and_then(|input| input.token) {
                self.handle.remove(token);
            }
            if let Some(status) = program.status {
                self.outbox.push(&Event::Ended { id, status });
            }
        }
        for pipe in left_behind {
            crate::console::follow(&self.handle, pipe, format!("left by {id}"));
        }
    }

    fn tell_kernel_log(&mut self) {
        let Some(log) = &mut self.log else { return };
        let event = match log.part() {
            Ok((text, end)) => Event::KernelLog { text, end },
            Err(error) => Event::Failed {
                id: None,
                message: format!("cannot read the kernel's log: {error}"),
            },
        };
        if !matches!(event, Event::KernelLog { end: false, .. }) {
            self.log = None;
        }
        self.outbox.push(&event);
    }

    /// Lets programs go on, once there is room.
    fn pause_or_resume(&mut self) {
        if !self.paused || self.outbox.is_full() {
            return;
        }
        self.paused = false;
        self.watch_outputs();
    }
}

fn tell(outbox: &mut Outbox, id: u32, stream: Stream, text: String) {
    if !text.is_empty() {
        outbox.push(&Event::Output { id, stream, text });
    }
}
