//! A process that is talked to: lines in, lines out.

use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitStatus;

use anyhow::{Context as _, Result, bail};

use super::{Command, Daemon};
use crate::wait::{self, Deadline};

/// A process with its standard input and output in our hands. Its errors go to its log.
#[derive(Debug)]
pub struct Talk {
    // Closed before the process is stopped: the end of its input is what many wait for.
    input: Option<PipeWriter>,
    output: PipeReader,
    /// Read and not yet a whole line.
    pending: Vec<u8>,
    daemon: Daemon,
}

impl Command {
    /// Starts it to be talked to.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn talk(mut self) -> Result<Talk> {
        let (child_input, input) = std::io::pipe().context("pipe")?;
        let (output, child_output) = std::io::pipe().context("pipe")?;
        self.inner.stdin(child_input);
        let daemon = self.spawn_with(child_output.into())?;
        Ok(Talk {
            input: Some(input),
            output,
            pending: Vec::new(),
            daemon,
        })
    }
}

impl Talk {
    /// The process itself.
    pub fn process(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// The next line it prints.
    ///
    /// # Errors
    /// When none comes in time, or it has ended.
    pub fn line(&mut self) -> Result<String> {
        let deadline = Deadline::step();
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                return String::from_utf8(line[..end].to_vec()).context("line");
            }
            wait::readable(&[self.output.as_fd()], deadline).with_context(|| {
                format!(
                    "no line from {}\n{}",
                    self.daemon.name(),
                    self.daemon.log_tail()
                )
            })?;
            let mut chunk = [0; 4096];
            let len = self.output.read(&mut chunk).context("output")?;
            if len == 0 {
                let name = self.daemon.name();
                bail!("{name} has closed its output\n{}", self.daemon.log_tail());
            }
            self.pending.extend_from_slice(&chunk[..len]);
        }
    }

    /// Gives it a line.
    ///
    /// # Errors
    /// When it has ended.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("its input has ended")?;
        input
            .write_all(format!("{line}\n").as_bytes())
            .context("input")
    }

    /// Ends its input and waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn finish(&mut self) -> Result<ExitStatus> {
        self.input = None;
        self.daemon.wait()
    }
}
