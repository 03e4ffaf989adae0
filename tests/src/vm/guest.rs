//! The guest's init: programs, kernel log, power (crate `guest-control` has the words).
//!
//! What the guest says is not trusted: lines and everything kept of them are bounded.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use anyhow::{Context as _, Result, bail, ensure};
use guest_control::{Ended, Event, MAX_LINE_BYTES, Request, Role, Stream};

use super::lines::Lines;
use crate::wait::Deadline;

#[cfg(test)]
mod tests;

/// Longest output kept of one program, in bytes; what comes after is dropped.
const MAX_OUTPUT_BYTES: usize = 16 * 1024 * 1024;

/// Longest kernel log, in bytes. The kernel's own buffer has 256 KiB.
const MAX_KERNEL_LOG_BYTES: usize = 4 * 1024 * 1024;

/// What is known of a program.
#[derive(Debug, Default)]
pub(super) struct ProgramState {
    pub(super) argv: Vec<String>,
    pub(super) pid: Option<u32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) ended: Option<Ended>,
    /// Why it could not be started, or was refused something.
    pub(super) failed: Option<String>,
    /// Bytes of its output given out as lines.
    pub(super) read: usize,
}

/// The conversation with one guest's init.
#[derive(Debug)]
pub struct Guest {
    lines: Lines,
    kernel: Option<(Role, String)>,
    ready: u32,
    service_ends: u32,
    last_service_end: Option<Ended>,
    programs: BTreeMap<u32, ProgramState>,
    next_id: u32,
    /// Parts of the log, and whether its end has come.
    kernel_log: (String, bool),
    halting: bool,
}

impl Guest {
    pub(super) fn new(lines: Lines) -> Self {
        Self {
            lines,
            kernel: None,
            ready: 0,
            service_ends: 0,
            last_service_end: None,
            programs: BTreeMap::new(),
            next_id: 1,
            kernel_log: (String::new(), false),
            halting: false,
        }
    }

    /// Longest line accepted.
    pub(super) const MAX_LINE_BYTES: usize = MAX_LINE_BYTES;

    /// Takes what the guest says until `found` gives a value.
    ///
    /// # Errors
    /// When it does not in time, or the guest is gone.
    pub(super) fn until<T>(
        &mut self,
        what: &str,
        deadline: Deadline,
        mut found: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        loop {
            if let Some(value) = found(self)? {
                return Ok(value);
            }
            let line = self.lines.next(deadline);
            let line = line.with_context(|| format!("while waiting for {what}"))?;
            let Some(line) = line else {
                bail!("the guest has ended while waiting for {what}");
            };
            self.take(&line)?;
        }
    }

    /// Readable when the guest has said something, or is gone.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.lines.fd()
    }

    /// Takes what the guest has said by now; whether it is still there. Called when [`Self::fd`] is
    /// readable.
    pub(super) fn take_waiting(&mut self) -> Result<bool> {
        let (lines, open) = self.lines.waiting()?;
        lines.iter().try_for_each(|line| self.take(line))?;
        Ok(open)
    }

    /// What its kernel is, once init runs.
    pub(super) fn kernel(&self) -> Option<&str> {
        self.kernel.as_ref().map(|(_, kernel)| kernel.as_str())
    }

    fn take(&mut self, line: &[u8]) -> Result<()> {
        // The kernel may end a line early when the guest is cut off; nothing else is empty.
        if line.is_empty() {
            return Ok(());
        }
        let event: Event = serde_json::from_slice(line)
            .with_context(|| format!("the guest said {}", String::from_utf8_lossy(line)))?;
        match event {
            Event::Booted { role, kernel } => self.kernel = Some((role, kernel)),
            Event::Ready {} => self.ready += 1,
            Event::ServiceEnded { status } => {
                self.service_ends += 1;
                self.last_service_end = Some(status);
            }
            Event::Started { id, pid } => self.program(id)?.pid = Some(pid),
            Event::Output { id, stream, text } => self.program(id)?.output(stream, &text),
            Event::Ended { id, status } => self.program(id)?.ended = Some(status),
            Event::KernelLog { text, end } => {
                let log = &mut self.kernel_log;
                ensure!(
                    log.0.len() + text.len() <= MAX_KERNEL_LOG_BYTES,
                    "a kernel log without end"
                );
                log.0.push_str(&text);
                log.1 |= end;
            }
            Event::Failed {
                id: Some(id),
                message,
            } => self.program(id)?.failed = Some(message),
            Event::Failed { id: None, message } => bail!("the guest refuses: {message}"),
            Event::Halting {} => self.halting = true,
        }
        Ok(())
    }

    pub(super) fn program(&mut self, id: u32) -> Result<&mut ProgramState> {
        self.programs
            .get_mut(&id)
            .with_context(|| format!("the guest speaks of program {id}, which there is not"))
    }

    pub(super) fn programs(&self) -> impl Iterator<Item = &ProgramState> {
        self.programs.values()
    }

    pub(super) fn say(&mut self, request: &Request) -> Result<()> {
        self.lines.say(request)
    }

    /// Waits until init runs; what its kernel is.
    pub(super) fn wait_booted(&mut self, deadline: Deadline) -> Result<String> {
        self.until("the guest to boot", deadline, |guest| {
            Ok(guest.kernel().map(str::to_owned))
        })
    }

    /// Waits until the service of its role has been ready `count` times.
    pub(super) fn wait_ready(&mut self, count: u32, deadline: Deadline) -> Result<()> {
        self.until("the guest's service to be ready", deadline, |guest| {
            Ok((guest.ready >= count).then_some(()))
        })
    }

    /// How often the service has been ready.
    pub(super) fn ready_count(&self) -> u32 {
        self.ready
    }

    /// Waits until the service has ended `count` times; how it did the last time.
    pub(super) fn wait_service_end(&mut self, count: u32, deadline: Deadline) -> Result<Ended> {
        self.until("the guest's service to end", deadline, |guest| {
            let enough = guest.service_ends >= count;
            Ok(guest.last_service_end.filter(|_| enough))
        })
    }

    /// How often the service has ended.
    pub(super) fn service_end_count(&self) -> u32 {
        self.service_ends
    }

    /// Asks for a program, and waits until it runs; its number.
    pub(super) fn run(
        &mut self,
        argv: Vec<String>,
        env: Vec<(String, String)>,
        root: bool,
        deadline: Deadline,
    ) -> Result<u32> {
        let id = self.next_id;
        self.next_id += 1;
        let state = ProgramState {
            argv: argv.clone(),
            ..ProgramState::default()
        };
        self.programs.insert(id, state);
        let what = format!("{} to start", argv.join(" "));
        let request = Request::Run {
            id,
            argv,
            env,
            root,
        };
        self.say(&request)?;
        self.until(&what, deadline, |guest| {
            let state = guest.program(id)?;
            if let Some(message) = &state.failed {
                bail!("{}: {message}", state.argv.join(" "));
            }
            Ok(state.pid.map(|_| id))
        })
    }

    /// The kernel's log as of now.
    pub(super) fn kernel_log(&mut self, deadline: Deadline) -> Result<String> {
        self.kernel_log = (String::new(), false);
        self.say(&Request::KernelLog {})?;
        self.until("the kernel's log", deadline, |guest| {
            let (text, end) = &mut guest.kernel_log;
            Ok(end.then(|| std::mem::take(text)))
        })
    }

    /// Asks the guest to power off, and waits until it does.
    pub(super) fn halt(&mut self, deadline: Deadline) -> Result<()> {
        self.say(&Request::Halt {})?;
        self.until("the guest to power off", deadline, |guest| {
            Ok(guest.halting.then_some(()))
        })
    }
}

impl ProgramState {
    fn output(&mut self, stream: Stream, text: &str) {
        let kept = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if kept.len() + text.len() <= MAX_OUTPUT_BYTES {
            kept.push_str(text);
        }
    }

    /// The next whole line of its standard output.
    pub(super) fn line(&mut self) -> Option<String> {
        let rest = self.stdout.get(self.read..)?;
        let (line, _) = rest.split_once('\n')?;
        self.read += line.len() + 1;
        Some(line.to_owned())
    }
}
