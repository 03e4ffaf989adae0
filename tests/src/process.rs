//! Processes: spawned with their output in a file, awaited by events, stopped for certain.
#![allow(
    clippy::print_stderr,
    reason = "the log of a failed process belongs on the terminal"
)]

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::leak;
use crate::notify::NotifySocket;
use crate::sys;
use crate::wait::{self, Deadline};

mod talk;

pub use talk::Talk;

/// Lines of a log shown when something failed.
const LOG_TAIL: usize = 40;

/// A process to be started.
#[derive(Debug)]
pub struct Command {
    name: String,
    inner: std::process::Command,
    log: PathBuf,
}

impl Command {
    /// `program` to be run under the name `name` (of its log file) with its output appended to
    /// `log_dir/name.log`.
    pub fn new(name: impl Into<String>, program: impl AsRef<OsStr>, log_dir: &Path) -> Self {
        let name = name.into();
        let mut inner = std::process::Command::new(program);
        // A group of its own: Ctrl-C on the terminal is for the one who started us to handle.
        inner.stdin(Stdio::null()).process_group(0);
        sys::die_with_parent(&mut inner);
        let log = log_dir.join(format!("{name}.log"));
        Self { name, inner, log }
    }

    /// One argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.inner.arg(arg);
        self
    }

    /// `--name value`, as two arguments.
    pub fn option(self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.arg(name).arg(value)
    }

    /// Several arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.inner.args(args);
        self
    }

    /// One variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Removes one variable of the environment.
    pub fn env_remove(mut self, name: &str) -> Self {
        self.inner.env_remove(name);
        self
    }

    /// Starts it, without waiting for anything.
    ///
    /// # Errors
    /// When the program or the log file cannot be opened.
    pub fn spawn(self) -> Result<Daemon> {
        let log = self.open_log()?;
        self.spawn_with(log.into())
    }

    fn open_log(&self) -> Result<File> {
        File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot open the log {}", self.log.display()))
    }

    /// Starts it with its standard output somewhere else than in its log.
    fn spawn_with(mut self, output: Stdio) -> Result<Daemon> {
        let log = self.open_log()?;
        self.inner.stdout(output).stderr(log);
        let child = self.inner.spawn().with_context(|| {
            format!(
                "cannot start {}",
                Path::new(self.inner.get_program()).display()
            )
        })?;
        let pidfd = sys::pidfd_open(child.id()).context("pidfd_open")?;
        Ok(Daemon {
            name: self.name,
            log: self.log,
            child,
            pidfd,
            ended: None,
            expected: false,
        })
    }

    /// Starts it and waits until it has said `READY=1`.
    ///
    /// # Errors
    /// When it cannot be started, ends before it is ready, or is not ready in time; with the end
    /// of its log.
    pub fn spawn_ready(self) -> Result<Daemon> {
        let notify = NotifySocket::bind(self.log.with_extension("notify"))?;
        let mut daemon = self.env("NOTIFY_SOCKET", notify.path()).spawn()?;
        daemon.wait_ready(&notify)?;
        Ok(daemon)
    }

    /// Runs it to its end; its status and everything it printed.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time.
    pub fn run(self) -> Result<(ExitStatus, String)> {
        let mut daemon = self.spawn()?;
        let status = daemon.wait()?;
        Ok((status, daemon.log_text()))
    }

    /// Program and arguments, for messages.
    pub fn line(&self) -> OsString {
        let mut line = self.inner.get_program().to_owned();
        for arg in self.inner.get_args() {
            line.push(" ");
            line.push(arg);
        }
        line
    }
}

/// A running process. Dropping it stops it: SIGTERM, a deadline, SIGKILL.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    log: PathBuf,
    child: Child,
    pidfd: OwnedFd,
    ended: Option<ExitStatus>,
    /// An exit is part of the test, so its log is of no interest.
    expected: bool,
}

impl Daemon {
    /// The name given at its start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id. Stays reserved until the process has been waited for.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Readable once it has ended (a pidfd).
    pub fn end_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Its log file.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Everything it has printed so far.
    pub fn log_text(&self) -> String {
        fs::read(&self.log)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .unwrap_or_default()
    }

    /// Its exit status when it has ended.
    ///
    /// # Errors
    /// When waitpid(2) fails.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().context("waitpid")?;
        }
        Ok(self.ended)
    }

    /// Whether it has ended, without taking its status.
    ///
    /// # Errors
    /// When poll(2) fails.
    pub fn has_ended(&self) -> Result<bool> {
        wait::is_readable(self.end_fd())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.wait_until(Deadline::step())
    }

    /// Waits for its end until `deadline`.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait_until(&mut self, deadline: Deadline) -> Result<ExitStatus> {
        if self.ended.is_none() {
            wait::readable(&[self.pidfd.as_fd()], deadline)
                .with_context(|| format!("{} did not end\n{}", self.name, self.log_tail()))?;
            self.ended = Some(self.child.wait().context("waitpid")?);
        }
        self.expected = true;
        self.ended.context("an ended process has a status")
    }

    /// Waits until it says `READY=1` on `notify`.
    ///
    /// # Errors
    /// When it ends first or is not ready in time.
    pub fn wait_ready(&mut self, notify: &NotifySocket) -> Result<()> {
        let deadline = Deadline::step();
        loop {
            let ready = wait::readable(&[notify.as_fd(), self.pidfd.as_fd()], deadline)
                .with_context(|| format!("{} did not get ready\n{}", self.name, self.log_tail()))?;
            while let Some(is_ready) = notify.take()? {
                if is_ready {
                    return Ok(());
                }
            }
            if ready[1] {
                let status = self.child.wait().context("waitpid")?;
                self.ended = Some(status);
                bail!(
                    "{} ended before it was ready ({status})\n{}",
                    self.name,
                    self.log_tail()
                );
            }
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process has ended already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if self.ended.is_some() {
            bail!("{} has ended already", self.name);
        }
        let pid = Pid::from_raw(i32::try_from(self.child.id()).context("process id")?);
        kill(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        if self.try_wait()?.is_none() {
            self.signal(Signal::SIGTERM)?;
        }
        self.wait()
    }

    /// [`Self::stop`], and the status must be 0: what every daemon promises for SIGTERM.
    ///
    /// # Errors
    /// When it does not end in time or with another status.
    pub fn stop_cleanly(&mut self) -> Result<()> {
        let status = self.stop()?;
        if !status.success() {
            bail!(
                "{} ended with {status} on SIGTERM\n{}",
                self.name,
                self.log_tail()
            );
        }
        Ok(())
    }

    /// SIGKILL, then waits for the end.
    ///
    /// # Errors
    /// When waitpid(2) fails.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill().context("kill")?;
        self.wait()
    }

    /// The last lines of its log, each with the name of the process.
    pub fn log_tail(&self) -> String {
        tail(&self.name, &self.log_text(), LOG_TAIL)
    }
}

/// The last `count` lines of a text, each with a name.
pub(crate) fn tail(name: &str, text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(count)..];
    tail.iter()
        .map(|line| format!("  {name}: {line}\n"))
        .collect()
}

/// Prints the last lines of all logs in a directory.
pub(crate) fn print_logs(dir: &Path) {
    for path in leak::files(dir).unwrap_or_default() {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read(&path).unwrap_or_default();
        eprint!("{}", tail(&name, &String::from_utf8_lossy(&text), LOG_TAIL));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.expected {
            eprint!("{}", self.log_tail());
        }
        if self.stop().is_err() {
            eprintln!("{} had to be killed", self.name);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests;
